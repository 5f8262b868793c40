with bars as (
    select * from {{ ref('stg_bars_1h') }}
),

publications as (
    select * from {{ ref('stg_publications') }}
),

published as (
    select
        bars.symbol,
        bars.date,
        bars.ts_event,
        bars.open,
        bars.high,
        bars.low,
        bars.close,
        bars.bid_close,
        bars.ask_close,
        bars.tick_count,
        bars.spread_mean
    from bars
    inner join publications
        on
            bars.symbol = publications.symbol
            and bars.date = publications.date
            and bars.publication_id = publications.publication_id
)

select * from published
