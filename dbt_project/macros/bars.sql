{# The columns of every bar, one a line. #}
{% macro bar_columns(prefix='', extra=[]) -%}
    {% set columns = [
        'symbol', 'date', 'ts_event', 'open', 'high', 'low', 'close', 'bid_close', 'ask_close', 'tick_count', 'spread_mean'
    ] + extra -%}
    {% for name in columns -%}
        {{ prefix }}{{ name }}{{ ',\n        ' if not loop.last }}
    {%- endfor %}
{%- endmacro %}

{# What a bar of ticks has beside them. #}
{% macro tick_bar_columns() -%}
    {{ return(['bar_ticks', 'first_seq', 'last_seq', 'ts_last', 'is_complete']) }}
{%- endmacro %}

{# Bars of one table that Spark wrote, under the lakehouse's names. #}
{% macro bars_of_source(source_relation, extra=[]) -%}
with source as (
    select * from {{ source_relation }}
),

renamed as (
    select
        {{ bar_columns(extra=extra) }},
        publication_id
    from source
)

select * from renamed
{%- endmacro %}

{# Bars of days that are published, as they were published. #}
{% macro published_bars(bars_relation, extra=[]) -%}
with bars as (
    select * from {{ bars_relation }}
),

publications as (
    select * from {{ ref('stg_publications') }}
),

published as (
    select
        {{ bar_columns('bars.', extra) }}
    from bars
    inner join publications
        on
            bars.symbol = publications.symbol
            and bars.date = publications.date
            and bars.publication_id = publications.publication_id
)

select * from published
{%- endmacro %}
