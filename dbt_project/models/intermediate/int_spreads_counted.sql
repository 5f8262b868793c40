-- Published ticks by symbol, date and spread: the exact median needs no sort of all ticks. Counted first, so that few rows are joined.
with ticks as (
    select
        symbol,
        date,
        publication_id,
        price_factor,
        spread_points,
        count(*) as tick_count,
        min(ts_event) as first_ts,
        max(ts_event) as last_ts,
        bool_or(is_synthetic) as is_synthetic
    from {{ ref('stg_ticks') }}
    group by 1, 2, 3, 4, 5
),

publications as (
    select * from {{ ref('stg_publications') }}
),

counted as (
    select
        ticks.symbol,
        ticks.date,
        ticks.price_factor,
        ticks.spread_points,
        ticks.tick_count,
        ticks.first_ts,
        ticks.last_ts,
        ticks.is_synthetic
    from ticks
    inner join publications
        on
            ticks.symbol = publications.symbol
            and ticks.date = publications.date
            and ticks.publication_id = publications.publication_id
)

select * from counted
