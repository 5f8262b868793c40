"""A real NiFi and the built-in replicator send the same files; S3 stops and starts meanwhile; one key can't be written.

The files are recorded hours where there are any (`TICK_TEST_DATA`, or `data` beside the project), and else the twin's.

What belongs here: what only the real servers show. What must not: the built-in replicator's own rules (`tests/unit/lakehouse`).
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import httpx
import pytest

from tests.conftest import running_stack
from tests.recorded import find_recorded
from tick_assets.domain.instruments import parse_market
from tick_assets.domain.synthetic_market import SyntheticMarket
from tick_assets.lakehouse.dead_letters import DeadLetters
from tick_assets.lakehouse.importers.importing import import_path
from tick_assets.lakehouse.nifi_replication import Nifi
from tick_assets.lakehouse.object_store import ObjectStore
from tick_assets.lakehouse.raw_store import RawStore
from tick_assets.lakehouse.replication import reconcile, replica_files, replicate
from tick_assets.lakehouse.replicator import SendReport
from tick_assets.lakehouse.vendors.synthetic import generate_folder
from tick_assets.resources import Road, Scope
from tick_assets.settings import Settings
from tick_assets.stack.supervisor import Supervisor

pytestmark = [pytest.mark.full, pytest.mark.stack]

RECORDED, SYNTHETIC = "EURUSD", "SYNEDGE"
SYNTHETIC_DATES = (date(2024, 2, 6), date(2024, 2, 7))
SERVERS = ("postgres", "s3", "nifi")
PUT = "Put object"


@dataclass(frozen=True)
class Case:
    """The running servers and a raw store of imported hours."""

    settings: Settings
    symbol: str
    store: RawStore
    objects: ObjectStore
    dates: tuple[date, ...]

    def send_by_nifi(self, progress: list[str], monkeypatch: pytest.MonkeyPatch) -> SendReport:
        monkeypatch.setenv("TICK_REPLICATOR", "nifi")
        return replicate(self.store, Road().replicator(lambda attempt: None, progress.append), [self.symbol], self.dates)

    def send_built_in(self, progress: list[str]) -> SendReport:
        road = Road()
        return replicate(self.store, road.built_in_replicator(lambda attempt: None, progress.append), [self.symbol], self.dates)

    def heads(self) -> dict[str, tuple[int, dict[str, str], str]]:
        """Return size, metadata and type of each object of the replica."""
        found = {}
        for key in self.objects.list_keys("raw/"):
            answer = self.objects.client.head_object(Bucket=self.objects.bucket, Key=key)
            found[key] = (answer["ContentLength"], answer["Metadata"], answer["ContentType"])
        return found

    def empty(self) -> None:
        for key in list(self.objects.list_keys("raw/")):
            self.objects.delete(key)


def hours_to_import(folder: Path) -> tuple[str, Path]:
    """Return a symbol and the folder of its hour files."""
    recorded = find_recorded(f"vendor/bi5/{RECORDED}")
    if recorded is not None:
        return RECORDED, recorded
    generate_folder(folder, {SYNTHETIC: SyntheticMarket(k=2.0)}, SYNTHETIC_DATES, seed=3)
    return SYNTHETIC, folder / SYNTHETIC


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory, twin_port: int) -> Iterator[Case]:
    """Hours imported before NiFi starts to list."""
    symbol, source = hours_to_import(tmp_path_factory.mktemp("vendor"))
    print(f"files of {symbol}")
    with running_stack(tmp_path_factory.mktemp("nifi stack") / ".tick", twin_port, symbol, SERVERS) as settings:
        store = RawStore(settings.raw_dir)
        instrument = parse_market(settings.market_path.read_text()).instrument(symbol)
        import_path(source, store, instrument, now=datetime.now(UTC))
        dates = tuple(sorted({day for name in store.sources() for day in store.dates(name, symbol)}))
        yield Case(settings, symbol, store, ObjectStore.from_settings(settings), dates)


def start_s3_once(settings: Settings, has_failed: Callable[[], bool]) -> None:
    """Start S3 again, but not before the replicator failed to reach it."""
    deadline = time.monotonic() + 60
    while not has_failed() and time.monotonic() < deadline:
        time.sleep(0.2)
    Supervisor(settings).up(print, ("s3",))


def test_both_replicators_fill_the_same_keys_while_s3_stops_and_starts(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = {file.key: file for file in replica_files(case.store, [case.symbol], case.dates)}
    events: list[str] = []
    case.send_by_nifi(events, monkeypatch)
    case.empty()
    nifi = Nifi(case.settings.nifi_address)
    before = nifi.status().retries
    Supervisor(case.settings).down(print, ("s3",))
    for file in expected.values():
        file.path.touch()  # NiFi lists them again now, with no S3 there
    outage = threading.Thread(target=start_s3_once, args=(case.settings, lambda: nifi.status().retries > before))
    outage.start()
    by_nifi = case.send_by_nifi(events, monkeypatch)
    outage.join()
    nifi_heads = case.heads()
    assert (by_nifi.sent_files, by_nifi.dead_letters) == (len(expected), ())
    assert reconcile(case.store, case.objects, [case.symbol], case.dates, is_deep=True).differences == ()
    case.empty()
    Supervisor(case.settings).down(print, ("s3",))
    begun = time.monotonic()
    outage = threading.Thread(target=start_s3_once, args=(case.settings, lambda: time.monotonic() - begun > 3))
    outage.start()
    built_in = case.send_built_in(events)
    outage.join()
    assert (built_in.sent_files, built_in.dead_letters) == (len(expected), ())
    assert case.heads() == nifi_heads
    assert set(nifi_heads) == set(expected)
    assert reconcile(case.store, case.objects, [case.symbol], case.dates, is_deep=True).differences == ()
    assert by_nifi.retries > 0
    assert by_nifi.queued_files_max > 0
    assert built_in.retries > 0
    assert by_nifi.figures().keys() == built_in.figures().keys()
    print(*events[-6:], by_nifi.to_event("nifi"), built_in.to_event("built_in"), sep="\n")


def quicken_retries(address: str) -> None:
    """Let NiFi give up after two quick tries, which else takes two minutes."""
    with httpx.Client(base_url=f"{address}/nifi-api", timeout=30, trust_env=False) as client:
        groups = client.get("/flow/process-groups/root").json()["processGroupFlow"]["flow"]["processGroups"]
        flow = client.get(f"/flow/process-groups/{groups[0]['id']}").json()["processGroupFlow"]["flow"]
        put = next(each for each in flow["processors"] if each["component"]["name"] == PUT)
        path = f"/processors/{put['id']}"

        def change(address: str, body: dict[str, Any]) -> None:
            revision = client.get(path).json()["revision"]
            client.put(address, json={"revision": revision} | body).raise_for_status()

        change(f"{path}/run-status", {"state": "STOPPED"})
        time.sleep(2)
        config = {"retryCount": 2, "penaltyDuration": "1 sec", "retriedRelationships": ["failure"]}
        change(path, {"component": {"id": put["id"], "config": config}})
        change(f"{path}/run-status", {"state": "RUNNING"})


def test_key_that_cannot_be_written_is_a_dead_letter_of_both_and_is_sent_once_it_can(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    files = list(replica_files(case.store, [case.symbol], case.dates))
    bad = files[0]
    quicken_retries(case.settings.nifi_address)
    case.empty()
    case.objects.put_bytes(f"{bad.key}/in the way", b"x")  # a folder where the server keeps the file
    by_nifi = case.send_by_nifi([], monkeypatch)
    assert [(letter.key, letter.reason) for letter in by_nifi.dead_letters] == [(bad.key, "TARGET_FAILED")]
    assert bad.path.name in by_nifi.dead_letters[0].detail
    built_in = case.send_built_in([])
    assert [letter.key for letter in built_in.dead_letters] == [bad.key]
    assert [letter.key for letter in DeadLetters(case.settings.dead_letters_dir).all()] == [bad.key]
    assert bad.key in {item.key for item in reconcile(case.store, case.objects, [case.symbol], case.dates).differences}
    case.objects.delete(f"{bad.key}/in the way")
    assert case.send_by_nifi([], monkeypatch).dead_letters == ()
    assert DeadLetters(case.settings.dead_letters_dir).all() == []


def test_large_object_goes_up_in_parts_and_a_killed_upload_is_swept(case: Case, tmp_path: Path) -> None:
    path, key, part = tmp_path / "large", "parts/large", 8 * 1024 * 1024
    path.write_bytes(os.urandom(20 * 1024 * 1024))
    case.objects.client.create_multipart_upload(Bucket=case.objects.bucket, Key=key)
    with path.open("rb") as stream:
        case.objects.put_stream(key, stream, path.stat().st_size, metadata={"sha256": "x"}, content_type="text/csv", part_bytes=part)
    assert case.objects.get_bytes(key) == path.read_bytes()
    head = case.objects.head(key)
    assert head is not None
    assert head.metadata["sha256"] == "x"
    assert case.objects.abort_uploads(key) == 0


@pytest.mark.parametrize("name", ["nifi", "built_in"])
def test_asset_uses_the_configured_replicator_and_leaves_a_row_a_file(case: Case, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from tick_assets.assets.raw import replica

    monkeypatch.setenv("TICK_REPLICATOR", name)
    case.empty()
    road, day = Road(), case.dates[0]
    result = dg.materialize(
        [replica], resources={"road": road, "scope": Scope(symbols=[case.symbol])}, partition_key=day.isoformat(), raise_on_error=False
    )
    (check,) = result.get_asset_check_evaluations()
    assert (result.success, check.passed) == (True, True), check.description
    rows = Road().lakehouse.frame("evidence.replications", f"run_id == '{result.run_id}'").to_dicts()
    sent = [row for row in rows if row["key"].endswith(".csv")]
    assert [(row["replicator"], row["outcome"], row["date"]) for row in sent] == [(name, "sent", day)]
    assert timedelta(0) <= sent[0]["finished_at"] - sent[0]["started_at"] < timedelta(minutes=5)
