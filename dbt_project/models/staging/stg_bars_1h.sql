with source as (
    select * from {{ source('silver', 'bars_1h') }}
),

renamed as (
    select
        symbol,
        date,
        ts_event,
        open,
        high,
        low,
        close,
        bid_close,
        ask_close,
        tick_count,
        spread_mean,
        publication_id
    from source
)

select * from renamed
