-- Literal quotes, the left side of the examples of the macros.
with quotes as (
    select *
    from (
        values
            ('EURUSD', date '2024-01-08', timestamp '2024-01-08 09:00:00.000 UTC', 0, 1.10),
            ('EURUSD', date '2024-01-08', timestamp '2024-01-08 09:00:07.500 UTC', 1, 1.12),
            ('EURUSD', date '2024-01-08', timestamp '2024-01-08 09:00:30.000 UTC', 2, 1.11)
    ) as literal (symbol, date, ts_event, seq, mid)
)

select * from quotes
