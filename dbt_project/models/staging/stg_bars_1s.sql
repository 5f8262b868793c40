{{ bars_of_source(source('silver', 'bars_1s')) }}
