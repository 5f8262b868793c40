{{ bars_of_source(source('silver', 'bars_ticks'), tick_bar_columns()) }}
