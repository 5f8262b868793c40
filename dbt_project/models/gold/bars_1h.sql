{{ published_bars(ref('stg_bars_1h')) }}
