with source as (
    select * from {{ source('silver', 'ticks') }}
),

renamed as (
    select
        symbol,
        date,
        ts_event,
        seq,
        bid_points,
        ask_points,
        ask_points - bid_points as spread_points,
        price_factor,
        bid_size,
        ask_size,
        starts_with(source, 'synthetic') or starts_with(symbol, 'SYN') as is_synthetic,
        publication_id
    from source
)

select * from renamed
