-- The bars of a day hold exactly the day's published ticks at every grain.
{{ config(meta={'dagster': {'ref': {'name': 'symbol_days'}}}) }}
with bars as (
    {% for grain in ['1s', '1m', '1h', 'ticks'] -%}
    select '{{ grain }}' as grain, symbol, date, sum(tick_count) as tick_count
    from {{ ref('bars_' ~ grain) }}
    where {{ in_window() }}
    group by 1, 2, 3
    {{ 'union all' if not loop.last }}
    {% endfor -%}
),

days as (
    select * from {{ ref('symbol_days') }} where {{ in_window() }}
)

select bars.grain, bars.symbol, bars.date
from bars
left join days on bars.symbol = days.symbol and bars.date = days.date
where days.tick_count is null or days.tick_count <> bars.tick_count
