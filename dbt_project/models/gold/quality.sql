with hours as (
    select * from {{ ref('int_hours_stated') }}
),

counts as (
    select * from {{ ref('int_hours_counted') }}
),

quality as (
    select
        hours.symbol,
        hours.date,
        hours.hour,
        hours.source,
        hours.state,
        hours.revision,
        hours.row_count as raw_rows,
        coalesce(counts.tick_count, 0) as tick_count,
        coalesce(counts.reject_count, 0) as reject_count,
        hours.is_synthetic,
        hours.checked_at
    from hours
    left join counts
        on
            hours.symbol = counts.symbol
            and hours.date = counts.date
            and hours.hour = counts.hour
)

select * from quality
