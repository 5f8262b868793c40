with source as (
    select * from {{ source('evidence', 'hour_ledger') }}
),

renamed as (
    select
        symbol,
        date,
        hour,
        source,
        starts_with(source, 'synthetic') or starts_with(symbol, 'SYN') as is_synthetic,
        state,
        revision,
        rows as row_count,
        url,
        response_sha256,
        canonical_sha256,
        checked_at
    from source
)

select * from renamed
