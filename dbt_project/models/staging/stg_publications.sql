with source as (
    select * from {{ source('evidence', 'publications') }}
),

renamed as (
    select
        symbol,
        date,
        publication_id,
        raw_rows,
        silver_rows,
        reject_rows,
        content_hash,
        published_at,
        is_synthetic
    from source
)

select * from renamed
