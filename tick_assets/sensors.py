"""Sensors: what runs because something happened.

What belongs here: reading events and asking for runs; every request carries a key that makes a repeat a no-op.
"""

from collections.abc import Iterator

import dagster as dg

from tick_assets.jobs import deploy_champion_job

GATE_VERDICT = dg.AssetKey(["models", "gate_verdict"])


@dg.sensor(job=deploy_champion_job, minimum_interval_seconds=5, default_status=dg.DefaultSensorStatus.RUNNING)
def gate_passed_sensor(context: dg.SensorEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Ask for a deployment of each model whose new verdict is a pass; the run key is the verdict's id.

    So one verdict is deployed by itself once. A run that failed, or a model taken back by `tick rollback`, is deployed by a person:
    `tick deploy`, or the asset in the UI.
    """
    after = int(context.cursor) if context.cursor else 0
    fetched = context.instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=GATE_VERDICT, after_storage_id=after), limit=100, ascending=True
    )
    requested = 0
    for record in fetched.records:
        event = record.asset_materialization
        if event is None:
            continue
        passed, verdict_id = event.metadata.get("passed"), event.metadata.get("verdict_id")
        if passed is not None and passed.value is True and verdict_id is not None:
            requested += 1
            yield dg.RunRequest(
                run_key=str(verdict_id.value), partition_key=event.partition, tags={"tick/verdict_id": str(verdict_id.value)}
            )
        context.update_cursor(str(record.storage_id))
    if not requested:
        yield dg.SkipReason(f"No new passed verdict among {len(fetched.records)} new verdicts.")


ALL_SENSORS = [gate_passed_sensor]
