{{ published_bars(ref('stg_bars_ticks'), tick_bar_columns()) }}
