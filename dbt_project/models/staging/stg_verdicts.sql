with source as (
    select * from {{ source('evidence', 'verdicts') }}
),

renamed as (
    select
        verdict_id,
        model_id,
        symbol,
        cast(decided_at as date) as date,
        strategy,
        version,
        passed,
        refused_by,
        first_line,
        gates_json,
        dataset_id,
        model_sha256,
        mlflow_run_id,
        trial_ledger_sha256,
        n_trials,
        trial_variance,
        test_openings,
        is_synthetic,
        decided_at,
        report_url
    from source
)

select * from renamed
