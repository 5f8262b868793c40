with source as (
    select * from {{ source('silver', 'labels') }}
),

renamed as (
    select
        symbol,
        date,
        event_id,
        label_set,
        ts_label_end,
        label,
        net_return_bps,
        long_net_bps,
        short_net_bps,
        publication_id
    from source
)

select * from renamed
