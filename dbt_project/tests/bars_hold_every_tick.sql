-- The bars of a day hold exactly the day's published ticks at every grain; that those were published, another test says.
{{ config(meta={'dagster': {'ref': {'name': 'bars_1m'}}}) }}
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
    select symbol, date, silver_rows as tick_count from {{ ref('stg_publications') }} where {{ in_window() }}
)

select bars.grain, bars.symbol, bars.date
from bars
left join days on bars.symbol = days.symbol and bars.date = days.date
where days.tick_count is null or days.tick_count <> bars.tick_count
