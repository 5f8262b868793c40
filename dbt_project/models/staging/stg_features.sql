with source as (
    select * from {{ source('silver', 'features') }}
),

renamed as (
    select
        symbol,
        date,
        ts_event,
        seq,
        event_id,
        feature_set,
        {{ feature_columns() }},
        publication_id
    from source
)

select * from renamed
