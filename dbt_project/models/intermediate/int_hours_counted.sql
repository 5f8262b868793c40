-- Published ticks and rejects by symbol, date and hour of their stamp; a reject without a stamp in its date has no hour.
with publications as (
    select * from {{ ref('stg_publications') }}
),

rows_of_silver as (
    select symbol, date, publication_id, ts_event, 1 as tick_count, 0 as reject_count
    from {{ ref('stg_ticks') }}
    union all
    select symbol, date, publication_id, ts_event, 0 as tick_count, 1 as reject_count
    from {{ ref('stg_tick_rejects') }}
),

counted as (
    select
        rows_of_silver.symbol,
        rows_of_silver.date,
        cast(hour(rows_of_silver.ts_event) as integer) as hour,
        sum(rows_of_silver.tick_count) as tick_count,
        sum(rows_of_silver.reject_count) as reject_count
    from rows_of_silver
    inner join publications
        on
            rows_of_silver.symbol = publications.symbol
            and rows_of_silver.date = publications.date
            and rows_of_silver.publication_id = publications.publication_id
    where cast(rows_of_silver.ts_event as date) = rows_of_silver.date
    group by 1, 2, 3
)

select * from counted
