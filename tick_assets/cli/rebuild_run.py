"""The child process of `tick drill`: the data job's own assets, from the replica on, over the ranges of a plan.

What belongs here: which assets of the job run, range by range. What must not: servers, comparing (`drill`).

Nothing upstream of `raw/replica` runs, so no vendor is asked: the raw folder is what it is. The hour ledger, which the vendor's asset
publishes, is published here from the same manifests. Gold is built once, with the last range. Progress goes to standard output.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from typing import Any

JOB, FIRST_ASSET = "ingest_ticks_job", "raw/replica"


def main(document: str) -> int:
    """Run the ranges of a plan: `{"ranges": [{"symbols", "first", "last"}], "is_recorded": bool}`; return 0 when all succeeded."""
    import dagster as dg

    plan = json.loads(document)
    instance = dg.DagsterInstance.get() if plan["is_recorded"] else dg.DagsterInstance.ephemeral()
    with instance:
        return 0 if all(_run(instance, each, is_last=each is plan["ranges"][-1]) for each in plan["ranges"]) else 1


def _run(instance: Any, each: Mapping[str, Any], *, is_last: bool) -> bool:
    """Run one range and say how long each step took."""
    from tick_assets.definitions import defs
    from tick_assets.partitions import RANGE_END, RANGE_START

    started = time.monotonic()
    _publish_ledger(each)
    result = defs.resolve_job_def(JOB).execute_in_process(
        instance=instance,
        tags={RANGE_START: each["first"], RANGE_END: each["last"], "tick/drill": "true"},
        run_config={"resources": {"scope": {"config": {"symbols": list(each["symbols"])}}}},
        asset_selection=_selected(defs, with_gold=is_last),
        raise_on_error=False,
    )
    for event in result.all_events:
        data: Any = event.event_specific_data
        if event.is_step_success:
            print(f"{event.step_key:<24} {data.duration_ms / 1000:6.1f} s", flush=True)
        elif event.is_step_failure:
            print(f"{event.step_key:<24} failed: {data.error_display_string}", flush=True)
    outcome = "rebuilt" if result.success else "failed"
    print(f"{', '.join(each['symbols'])} {each['first']} .. {each['last']}: {outcome} in {time.monotonic() - started:.1f} s", flush=True)
    return bool(result.success)


def _selected(defs: Any, *, with_gold: bool) -> list[Any]:
    """Return the job's assets from the replica on."""
    import dagster as dg

    groups = ("raw", "silver", "gold") if with_gold else ("raw", "silver")
    selection = dg.AssetSelection.assets(FIRST_ASSET).downstream() & dg.AssetSelection.groups(*groups)
    return sorted(selection.resolve(defs.resolve_asset_graph()))


def _publish_ledger(each: Mapping[str, Any]) -> None:
    from datetime import date

    from tick_assets.lakehouse import hour_ledger
    from tick_assets.lakehouse.rebuild import DateRange
    from tick_assets.resources import Road

    road, found = Road(), DateRange(tuple(each["symbols"]), date.fromisoformat(each["first"]), date.fromisoformat(each["last"]))
    hour_ledger.publish(road.lakehouse, road.raw_store, found.symbols, found.dates, road.settings.sources_in_order)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
