-- For each published symbol and date: current rows of raw.ticks = silver.ticks + silver.tick_rejects, as counted and as recorded.
{{ config(meta={'dagster': {'ref': {'name': 'symbol_days'}}}) }}
with days as (
    select symbol, date, tick_count, raw_rows, reject_count
    from {{ ref('symbol_days') }}
    where is_published and {{ in_window() }}
),

counted as (
    select symbol, date, sum(raw_rows) as raw_rows, sum(silver_rows) as silver_rows, sum(reject_rows) as reject_rows
    from (
        select symbol, date, count(*) as raw_rows, 0 as silver_rows, 0 as reject_rows
        from {{ source('raw', 'ticks') }}
        where is_current and {{ in_window() }}
        group by 1, 2
        union all
        select symbol, date, 0 as raw_rows, count(*) as silver_rows, 0 as reject_rows
        from {{ source('silver', 'ticks') }}
        where {{ in_window() }}
        group by 1, 2
        union all
        select symbol, date, 0 as raw_rows, 0 as silver_rows, count(*) as reject_rows
        from {{ source('silver', 'tick_rejects') }}
        where {{ in_window() }}
        group by 1, 2
    ) as parts
    group by 1, 2
)

select days.symbol, days.date
from days
left join counted on days.symbol = counted.symbol and days.date = counted.date
where
    coalesce(counted.raw_rows, 0) <> days.raw_rows
    or coalesce(counted.silver_rows, 0) <> days.tick_count
    or coalesce(counted.reject_rows, 0) <> days.reject_count
    or days.raw_rows <> days.tick_count + days.reject_count
