-- For each published symbol and date: current rows of raw.ticks = silver.ticks + silver.tick_rejects, as counted and as recorded.
with publications as (
    select * from {{ ref('stg_publications') }} where {{ in_window() }}
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

select publications.symbol, publications.date
from publications
left join counted on publications.symbol = counted.symbol and publications.date = counted.date
where
    coalesce(counted.silver_rows, 0) <> publications.silver_rows
    or coalesce(counted.reject_rows, 0) <> publications.reject_rows
    or coalesce(counted.raw_rows, 0) <> publications.silver_rows + publications.reject_rows
