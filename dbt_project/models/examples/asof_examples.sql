-- What `asof` finds for each quote, by its arguments.
with quotes as (
    select * from {{ ref('example_quotes') }}
),

side_values as (
    select * from {{ ref('example_values') }}
),

found_at as (
    {{ asof('quotes', 'side_values', ['symbol', 'date', 'ts_event', 'seq'], ['value']) }}
),

found_strict as (
    {{ asof('quotes', 'side_values', ['symbol', 'date', 'ts_event', 'seq'], ['value'], strict=true) }}
),

found_tolerance as (
    {{ asof('quotes', 'side_values', ['symbol', 'date', 'ts_event', 'seq'], ['value'], tolerance="interval '10' second") }}
),

found_known_at as (
    {{ asof('quotes', 'side_values', ['symbol', 'date', 'ts_event', 'seq'], ['value'], known_at='known_at') }}
),

found_ahead as (
    {{ asof('quotes', 'side_values', ['symbol', 'date', 'ts_event', 'seq'], ['value'], known_at='known_at', ahead=true) }}
),

found_across_dates as (
    {{ asof(
        'quotes', 'side_values', ['symbol', 'date', 'ts_event', 'seq'], ['value'], by=['symbol'], known_at='known_at', across_dates=true
    ) }}
),

examples as (
    {% for variant in ['at', 'strict', 'tolerance', 'known_at', 'ahead', 'across_dates'] -%}
    select '{{ variant }}' as variant, * from found_{{ variant }}
    {{ 'union all' if not loop.last }}
    {% endfor -%}
)

select * from examples
