-- Published ticks and rejects by symbol, date and hour of their stamp; a reject without a stamp in its date has no hour.
-- Counted first, so that few rows are joined.
with publications as (
    select * from {{ ref('stg_publications') }}
),

rows_of_silver as (
    select symbol, date, publication_id, cast(hour(ts_event) as integer) as hour, count(*) as tick_count, 0 as reject_count
    from {{ ref('stg_ticks') }}
    where cast(ts_event as date) = date
    group by 1, 2, 3, 4
    union all
    select symbol, date, publication_id, cast(hour(ts_event) as integer) as hour, 0 as tick_count, count(*) as reject_count
    from {{ ref('stg_tick_rejects') }}
    where cast(ts_event as date) = date
    group by 1, 2, 3, 4
),

counted as (
    select
        rows_of_silver.symbol,
        rows_of_silver.date,
        rows_of_silver.hour,
        sum(rows_of_silver.tick_count) as tick_count,
        sum(rows_of_silver.reject_count) as reject_count
    from rows_of_silver
    inner join publications
        on
            rows_of_silver.symbol = publications.symbol
            and rows_of_silver.date = publications.date
            and rows_of_silver.publication_id = publications.publication_id
    group by 1, 2, 3
)

select * from counted
