"""Plain adapters to the world of files, vendors, object stores and query engines; nothing here knows Dagster.

Where do I go to…?
- ask a vendor for an hour, or serve one: `vendors/`
- keep what was delivered, and its ledger: `raw_store.py`, the CSV text itself: `raw_csv.py`
- fill dates from a vendor: `ingestion.py`; from local files: `importers/`
- copy raw files to S3 and prove it: `replication.py`, `object_store.py`
"""
