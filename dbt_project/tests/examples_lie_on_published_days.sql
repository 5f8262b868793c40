-- Every training example's day is in symbol_days with ticks.
{{ config(meta={'dagster': {'ref': {'name': 'training_examples'}}}) }}
select distinct examples.symbol, examples.date
from {{ ref('training_examples') }} as examples
left join {{ ref('symbol_days') }} as days on examples.symbol = days.symbol and examples.date = days.date
where {{ in_window('examples.date') }} and coalesce(days.tick_count, 0) = 0
