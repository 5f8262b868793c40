-- The minutes of a day with bars hold exactly the day's published ticks.
with bars as (
    select symbol, date, sum(tick_count) as tick_count
    from {{ ref('bars_1m') }}
    where {{ in_window() }}
    group by 1, 2
),

days as (
    select * from {{ ref('symbol_days') }} where {{ in_window() }}
)

select bars.symbol, bars.date
from bars
left join days on bars.symbol = days.symbol and bars.date = days.date
where days.tick_count is null or days.tick_count <> bars.tick_count
