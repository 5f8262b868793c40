"""Sensors: what runs because something happened.

What belongs here: reading events and asking for runs; every request carries a key that makes a repeat a no-op.
"""

import hashlib
from collections.abc import Iterator, Sequence
from itertools import groupby

import dagster as dg

from tick_assets.assets.reporting import now
from tick_assets.jobs import deploy_champion_job, ingest_live_ticks_job
from tick_assets.lakehouse.live_recordings import Recording, waiting_recordings
from tick_assets.resources import Road

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


@dg.sensor(job=ingest_live_ticks_job, minimum_interval_seconds=60, default_status=dg.DefaultSensorStatus.RUNNING)
def recording_closed_sensor(context: dg.SensorEvaluationContext, road: Road) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Ask for the ingestion of each past date whose recordings are closed and not in the raw store; so yesterday's come after midnight.

    The run key says which recordings of which size, so a date is asked for again only when another recording of it waits. A recording of
    a symbol that the market file lacks waits until the file has it.
    """
    waiting = waiting_recordings(road.settings.recordings_dir, road.raw_store, now())
    known = [recording for recording in waiting if recording.symbol in road.market.instruments]
    for day, dated in groupby(known, key=lambda recording: recording.date.isoformat()):
        recordings = list(dated)
        symbols = sorted({recording.symbol for recording in recordings})
        config = {"resources": {"scope": {"config": {"symbols": symbols}}}}
        yield dg.RunRequest(run_key=_run_key(day, recordings), partition_key=day, run_config=config)
    if not known:
        unknown = ", ".join(sorted({recording.symbol for recording in waiting}))
        yield dg.SkipReason(f"The market file lacks {unknown}." if unknown else "No closed recording waits.")


def _run_key(day: str, recordings: Sequence[Recording]) -> str:
    stated = "|".join(f"{recording.source}/{recording.symbol}/{recording.path.stat().st_size}" for recording in recordings)
    return f"{day}-{hashlib.sha256(stated.encode()).hexdigest()[:16]}"


ALL_SENSORS = [gate_passed_sensor, recording_closed_sensor]
