"""Schedules: what runs by the clock."""

from __future__ import annotations

import dagster as dg

from tick_assets.jobs import ingest_evidence_job, ingest_ticks_job, maintain_lakehouse_job

ingest_ticks_daily = dg.build_schedule_from_partitioned_job(
    ingest_ticks_job, name="ingest_ticks_daily", hour_of_day=3, minute_of_hour=0, default_status=dg.DefaultScheduleStatus.STOPPED
)
ingest_evidence_daily = dg.build_schedule_from_partitioned_job(
    ingest_evidence_job, name="ingest_evidence_daily", hour_of_day=3, minute_of_hour=30, default_status=dg.DefaultScheduleStatus.STOPPED
)

maintain_lakehouse_weekly = dg.ScheduleDefinition(
    name="maintain_lakehouse_weekly",
    job=maintain_lakehouse_job,
    cron_schedule="0 12 * * 6",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
"""Saturday noon: the market is closed, and the daily runs are long done.

Runs unless somebody stops it, unlike the daily ones, which ask a vendor: a lake that nobody maintains grows slow and large unseen. What it
deletes nobody can read any more, and it touches nothing while a dataset's tag is astray.
"""

ALL_SCHEDULES = [ingest_ticks_daily, ingest_evidence_daily, maintain_lakehouse_weekly]
