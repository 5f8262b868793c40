with source as (
    select * from {{ source('silver', 'tick_rejects') }}
),

renamed as (
    select
        symbol,
        date,
        ts_event,
        reason_code,
        publication_id
    from source
)

select * from renamed
