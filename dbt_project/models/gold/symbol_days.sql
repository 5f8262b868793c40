with publications as (
    select * from {{ ref('stg_publications') }}
),

hours as (
    select * from {{ ref('int_hours_stated') }}
),

ticks as (
    select * from {{ ref('int_ticks_summarized') }}
),

ledger as (
    select
        symbol,
        date,
        bool_or(is_synthetic) as is_synthetic,
        count_if(state = 'ok') as hours_ok,
        count_if(state = 'closed') as hours_closed,
        count_if(state in ('vendor_empty', 'failed', 'pending')) as hours_missing
    from hours
    group by 1, 2
),

known_days as (
    select symbol, date from ledger
    union
    select symbol, date from publications
),

days as (
    select
        known_days.symbol,
        known_days.date,
        coalesce(ticks.tick_count, 0) as tick_count,
        coalesce(publications.raw_rows, 0) as raw_rows,
        coalesce(publications.reject_rows, 0) as reject_count,
        ticks.first_ts,
        ticks.last_ts,
        ticks.spread_median,
        coalesce(ledger.hours_ok, 0) as hours_ok,
        coalesce(ledger.hours_closed, 0) as hours_closed,
        coalesce(ledger.hours_missing, 0) as hours_missing,
        coalesce(publications.is_synthetic, ticks.is_synthetic, ledger.is_synthetic, false) as is_synthetic,
        publications.publication_id is not null as is_published,
        publications.publication_id,
        publications.content_hash,
        publications.published_at
    from known_days
    left join publications
        on known_days.symbol = publications.symbol and known_days.date = publications.date
    left join ledger
        on known_days.symbol = ledger.symbol and known_days.date = ledger.date
    left join ticks
        on known_days.symbol = ticks.symbol and known_days.date = ticks.date
)

select * from days
