-- Literal values of a side table, the right side of the examples of `asof`.
with side_values as (
    select *
    from (
        values
            ('EURUSD', date '2024-01-08', timestamp '2024-01-08 09:00:00.000 UTC', timestamp '2024-01-08 09:00:05.000 UTC', 2.5)
    ) as literal (symbol, date, ts_event, known_at, value)
)

select * from side_values
