"""`tick maintain`: compact, expire and sweep now, without Dagster; `--dry-run` says what there is to do.

What belongs here: options, printing, exit codes. What must not: how it is done (`lakehouse.maintenance`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tick_assets.cli.configuration import effective_settings
from tick_assets.cli.errors import CommandError
from tick_assets.cli.output import JsonOption, print_json, print_table, reporter, say
from tick_assets.cli.tables import catalog_errors

if TYPE_CHECKING:
    from tick_assets.lakehouse.maintenance import TableUpkeep
    from tick_assets.settings import Settings

SHOWN = (
    "table",
    "files_before",
    "files_after",
    "manifests_before",
    "manifests_after",
    "branches",
    "snapshots_expired",
    "orphans",
    "orphans_mb",
)


def app_commands(app: typer.Typer) -> None:
    """Register the commands of this module."""
    app.command("maintain")(maintain)


def maintain(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    grace: Annotated[
        float | None,
        typer.Option(
            min=0, metavar="HOURS", help="How old an object that nothing names must be to be swept; default: maintenance_grace_hours."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Compact files, merge manifests, expire old snapshots, sweep orphans; pinned datasets stay. Exits 1 where something was left."""
    settings = effective_settings()
    if grace is not None:
        settings = settings.model_copy(update={"maintenance_grace_hours": grace})
    with catalog_errors(), _maintenance_errors():
        done, unreadable = _run(settings, dry_run, reporter(as_json))
    if as_json:
        print_json({"is_dry_run": dry_run, "tables": done, "unreadable_datasets": unreadable})
    else:
        _say(done, dry_run)
    problems = [*(left for each in done for left in each.left), *(f"dataset {each['dataset']}: {each['reason']}" for each in unreadable)]
    if problems:
        raise CommandError(" ".join(problems))


def _run(settings: Settings, dry_run: bool, progress: Any) -> tuple[list[TableUpkeep], list[dict[str, str]]]:
    import uuid
    from datetime import UTC, datetime

    from tick_assets.lakehouse import maintenance
    from tick_assets.lakehouse.catalog import Lakehouse
    from tick_assets.lakehouse.dataset_folder import DatasetFolder
    from tick_assets.lakehouse.object_store import ObjectStore

    lakehouse = Lakehouse.from_settings(settings)
    lakehouse.ensure_tables()
    known = maintenance.known_datasets(DatasetFolder(settings.datasets_dir), ObjectStore.from_settings(settings))
    upkeep, run = maintenance.Upkeep.from_settings(settings), f"maintain{uuid.uuid4().hex[:8]}"
    done = maintenance.maintain(lakehouse, known, upkeep, datetime.now(UTC), run, progress, dry_run)
    return done, ([] if dry_run else maintenance.unreadable(lakehouse, known))


def _say(done: Sequence[TableUpkeep], dry_run: bool) -> None:
    print_table([asdict(each) | {"branches": len(each.branches_dropped)} for each in done], SHOWN)
    if dry_run:
        say("nothing was changed; orphans of what would expire are not counted")


@contextmanager
def _maintenance_errors() -> Iterator[None]:
    """Turn what maintenance refuses into the command line's errors."""
    from botocore.exceptions import BotoCoreError, ClientError

    from tick_assets.lakehouse.compaction import CompactionError
    from tick_assets.lakehouse.expiry import PinError
    from tick_assets.lakehouse.manifests import ManifestError
    from tick_assets.lakehouse.partition_locks import PartitionBusyError

    try:
        yield
    except (CompactionError, ManifestError, PinError, PartitionBusyError) as error:
        raise CommandError(str(error)) from error
    except (BotoCoreError, ClientError) as error:
        raise CommandError(f"Expected the object store to answer, was: {error}. Run `tick up`, or correct TICK_S3_ENDPOINT.") from error
