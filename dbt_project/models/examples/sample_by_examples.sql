-- What `sample_by` makes of quotes, by its fill.
with quotes as (
    select * from {{ ref('example_quotes') }}
),

{% set aggregates = {'close': 'max_by(mid, seq)', 'tick_count': 'count(*)'} -%}
{% for fill in ['none', 'null', 'previous'] -%}
filled_{{ fill }} as (
    {{ sample_by('quotes', '10 seconds', aggregates, fill=fill, carried=['close']) }}
),

{% endfor -%}
examples as (
    {% for fill in ['none', 'null', 'previous'] -%}
    select '{{ fill }}' as fill, * from filled_{{ fill }}
    {{ 'union all' if not loop.last }}
    {% endfor -%}
)

select * from examples
