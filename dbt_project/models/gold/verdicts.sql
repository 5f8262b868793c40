with verdicts as (
    select * from {{ ref('stg_verdicts') }}
)

select * from verdicts
