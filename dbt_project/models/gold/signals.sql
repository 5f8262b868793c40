with signals as (
    select * from {{ ref('stg_signals') }}
)

select * from signals
