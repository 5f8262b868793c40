-- Published ticks by symbol, date and spread: the exact median needs no sort of all ticks.
with ticks as (
    select * from {{ ref('stg_ticks') }}
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
        count(*) as tick_count,
        min(ticks.ts_event) as first_ts,
        max(ticks.ts_event) as last_ts,
        bool_or(ticks.is_synthetic) as is_synthetic
    from ticks
    inner join publications
        on
            ticks.symbol = publications.symbol
            and ticks.date = publications.date
            and ticks.publication_id = publications.publication_id
    group by 1, 2, 3, 4
)

select * from counted
