-- One row per symbol and date with published ticks.
with spreads as (
    select * from {{ ref('int_spreads_counted') }}
),

ranked as (
    select
        *,
        sum(tick_count) over (partition by symbol, date order by spread_points) as ticks_up_to,
        sum(tick_count) over (partition by symbol, date) as ticks_of_date
    from spreads
),

summarized as (
    select
        symbol,
        date,
        sum(tick_count) as tick_count,
        min(first_ts) as first_ts,
        max(last_ts) as last_ts,
        bool_or(is_synthetic) as is_synthetic,
        -- The mean of the two middle spreads; they are one and the same when the count is odd.
        cast(
            min(spread_points) filter (where ticks_up_to >= (ticks_of_date + 1) / 2)
            + min(spread_points) filter (where ticks_up_to >= ticks_of_date / 2 + 1) as double
        ) / 2 / max(price_factor) as spread_median
    from ranked
    group by 1, 2
)

select * from summarized
