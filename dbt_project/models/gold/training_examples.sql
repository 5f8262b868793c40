with features as (
    select * from {{ ref('stg_features') }}
),

labels as (
    select * from {{ ref('stg_labels') }}
),

publications as (
    select * from {{ ref('stg_publications') }}
),

examples as (
    select
        features.symbol,
        features.date,
        features.ts_event,
        features.seq,
        features.event_id,
        features.feature_set,
        labels.label_set,
        labels.ts_label_end,
        {{ feature_columns('features.') }},
        labels.label,
        labels.net_return_bps,
        labels.long_net_bps,
        labels.short_net_bps
    from features
    inner join labels
        on
            features.symbol = labels.symbol
            and features.date = labels.date
            and features.event_id = labels.event_id
            and features.publication_id = labels.publication_id
    inner join publications
        on
            features.symbol = publications.symbol
            and features.date = publications.date
            and features.publication_id = publications.publication_id
)

select * from examples
