with source as (
    select * from {{ source('evidence', 'signals') }}
),

renamed as (
    select
        signal_id,
        event_id,
        symbol,
        date,
        strategy,
        action,
        view,
        probability,
        ts_event,
        issued_at,
        valid_until,
        exit_at,
        bid_price,
        ask_price,
        stop_loss,
        take_profit,
        max_position,
        mode,
        is_synthetic,
        model_id,
        model_sha256,
        passport_id,
        features_sha256,
        reasons_json
    from source
)

select * from renamed
