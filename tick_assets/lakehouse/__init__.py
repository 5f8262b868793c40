"""Plain adapters to the world of files, vendors, object stores and query engines; nothing here knows Dagster.

Where do I go to…?
- ask a vendor for an hour, or serve one: `vendors/`
- keep what was delivered: `raw_store.py`, a manifest: `raw_manifests.py`, the CSV text: `raw_csv.py`; prove it: `raw_verification.py`
- fill dates from a vendor: `ingestion.py`, its threads and second looks: `hour_fetching.py`; from local files: `importers/`
- what a revision changed: `revision_diffs.py`; from what the service recorded: `live_recordings.py`
- side tables, values with when they were known: `side_tables.py`, the text of their files: `side_files.py`
- copy raw files to S3, prove it, bring them back: `replication.py`, `object_store.py`; who sends: `replicator.py` (the port),
  `built_in_replicator.py`, `nifi_replication.py`; what could not be sent: `dead_letters.py`; what was: `replication_evidence.py`
- define, read and write tables: `tables.py`, `catalog.py`; hash content: `content_hash.py`
- raw.ticks: `raw_ticks.py`, the Parquet file of a symbol-day: `day_parquet.py`
- clean and sample by Spark: `silver.py`; bars: `bars.py`; what their tasks read and write: `day_files.py`; the audit of
  what was staged: `tick_audit.py`
- Spark on this machine, on a cluster, by Connect: `spark.py`; the same code on every executor: `executors.py`
- stage, audit, publish: `publishing.py`, `publications.py`
- one writer per partition at a time: `partition_locks.py`; a table's files by partition: `partition_files.py`; who is away: `servers.py`
- compaction, expiry, orphans in their order: `maintenance.py`; what steps cost: `resources_ledger.py`
- hours by state, completeness: `hour_ledger.py`; statistics of published ticks: `data_statistics.py`
- versions of a table, rolling back, columns that come later: `history.py`; a commit whose answer was lost: `commits.py`
- rebuild the lake from raw and compare: `rebuild.py`
- pin a training set: `datasets.py`; the folder that keeps them: `dataset_folder.py`; signals and orders: `evidence.py`; SQL: `query.py`
"""
