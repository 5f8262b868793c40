with source as (
    select * from {{ source('raw', 'side_values') }}
),

renamed as (
    select
        feed,
        key,
        key as symbol,
        date,
        ts_event,
        known_at,
        name,
        value,
        text,
        revision,
        source_file,
        source_row
    from source
)

select * from renamed
