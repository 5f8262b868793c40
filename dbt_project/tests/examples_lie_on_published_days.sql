-- Every training example's day is in symbol_days with ticks.
{{ config(meta={'dagster': {'ref': {'name': 'training_examples'}}}) }}
with examples as (
    select distinct symbol, date from {{ ref('training_examples') }} where {{ in_window() }}
),

days as (
    select symbol, date, tick_count from {{ ref('symbol_days') }} where {{ in_window() }}
)

select examples.symbol, examples.date
from examples
left join days on examples.symbol = days.symbol and examples.date = days.date
where coalesce(days.tick_count, 0) = 0
