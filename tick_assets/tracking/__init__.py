"""Plain adapters to what keeps track of models and data versions; nothing here knows Dagster.

Where do I go to…?
- runs, trials, registered versions and the champion alias: `model_registry`
- DVC versions of datasets: `dataset_versions`
- the model objects that the service pulls from S3: `bundles`
- ask the service what it serves: `serving_client`
- start and follow Dagster jobs: `orchestrator`
- search, validate, test, decide: `judgement`, handed on by `candidates`, told to MLflow by `model_log`
- trials of a search that was killed: `stored_trials`; who opened which test dates: `vault_records`
- deploy and roll back: `deployments`; list and verify models: `model_index`, `verification`; follow a ticket: `tracing`
"""
