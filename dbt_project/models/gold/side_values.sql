with side_values as (
    select * from {{ ref('stg_side_values') }}
)

select * from side_values
