-- One row per symbol, date and hour: the state that was found last.
with hours as (
    select * from {{ ref('stg_hours') }}
),

ranked as (
    select
        *,
        row_number() over (partition by symbol, date, hour order by revision desc, checked_at desc) as place
    from hours
),

stated as (
    select
        symbol,
        date,
        hour,
        source,
        is_synthetic,
        state,
        revision,
        row_count,
        checked_at
    from ranked
    where place = 1
)

select * from stated
