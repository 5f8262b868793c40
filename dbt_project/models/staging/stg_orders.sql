with source as (
    select * from {{ source('evidence', 'orders') }}
),

renamed as (
    select
        order_event_id,
        symbol,
        date,
        ts_event,
        account,
        signal_id,
        client_order_id,
        ticket,
        deal,
        position_id,
        magic,
        side,
        volume,
        state,
        retcode,
        price,
        stop_loss,
        take_profit,
        profit,
        reason,
        is_synthetic
    from source
)

select * from renamed
