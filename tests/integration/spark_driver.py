"""The process that drives Spark: it runs the assets that use a session, over a range of dates, on whatever Spark its settings name.

What belongs here: one Dagster run of those assets. What must not: judging it. Run as a program with the first and the last date.
"""

from __future__ import annotations

import sys


def run(first: str, last: str) -> None:
    """Materialize clean ticks, events and bars as one Dagster run."""
    import dagster as dg

    from tick_assets.assets.bars import bars
    from tick_assets.assets.silver import clean_ticks, sample_events
    from tick_assets.partitions import RANGE_END, RANGE_START
    from tick_assets.resources import Road, Scope, SparkEngine

    dg.materialize(
        [clean_ticks, sample_events, bars],
        instance=dg.DagsterInstance.ephemeral(),
        tags={RANGE_START: first, RANGE_END: last},
        resources={"road": Road(), "scope": Scope(), "spark": SparkEngine()},
    )


if __name__ == "__main__":
    run(*sys.argv[1:])
