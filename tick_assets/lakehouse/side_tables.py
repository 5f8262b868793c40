"""Side tables: values of other feeds with the time from when on they were known, kept as delivered and as `raw.side_values`.

What belongs here: the delivered files, what counts of them, the table. What must not: the text of a file (`side_files`), the as-of join
(`domain.asof`).

    side/<feed>/<sha-256>.csv                a delivered file, byte for byte, read-only
    side/<feed>/<sha-256>.json               how it is read, its number, what came of it; written last: without it nothing was delivered
    side/<feed>/quarantine/<sha-256>.csv     its refused rows with their reasons

The table is a function of this folder: deliveries are taken in the order of their numbers and only ever appended, each in one commit, so
what a reader saw of a past moment stays. A value said again (same key, name, `ts_event`, `known_at` and content) counts once; one that
contradicts what is known of that very moment is refused: a correction has a later `known_at`. `revision` is the delivery's number.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from tick_assets.lakehouse.durable_files import locked, write_file
from tick_assets.lakehouse.row_filters import equal_to
from tick_assets.lakehouse.side_files import Reading, RefusedRow, SideFile, SideFileError, SideValue, parse_side_file

if TYPE_CHECKING:
    from tick_assets.lakehouse.catalog import Lakehouse

TABLE = "raw.side_values"
VALUE_SCHEMA = pl.Schema(
    {
        "feed": pl.String(),
        "key": pl.String(),
        "date": pl.Date(),
        "ts_event": pl.Datetime("us", "UTC"),
        "known_at": pl.Datetime("us", "UTC"),
        "name": pl.String(),
        "value": pl.Float64(),
        "text": pl.String(),
        "source_file": pl.String(),
        "source_row": pl.Int64(),
        "revision": pl.Int32(),
    }
)
QUARANTINE = "quarantine"
_FEED = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_Known = dict[tuple[str, str, datetime, datetime], tuple[float | None, str | None]]


@dataclass(frozen=True)
class Delivery:
    """One delivered file. `values` count, `repeated` were said before, `refused` rows lie in quarantine."""

    feed: str
    number: int
    sha256: str
    file_name: str
    reading: Reading
    delivered_at: str
    rows: int
    values: int
    repeated: int
    refused: int

    @property
    def source_file(self) -> str:
        """The file's name in the table."""
        return f"{self.feed}/{self.sha256}.csv"

    def to_json(self) -> bytes:
        return (json.dumps(asdict(self), indent=1, sort_keys=True) + "\n").encode()

    @staticmethod
    def from_json(content: bytes) -> Delivery:
        document: dict[str, Any] = json.loads(content)
        reading = document.pop("reading")
        return Delivery(**document, reading=Reading(**{**reading, "text_columns": tuple(reading["text_columns"])}))


@dataclass(frozen=True)
class Taken:
    """What counts of one file, after what was delivered before it."""

    values: tuple[SideValue, ...]
    repeated: int
    refused: tuple[RefusedRow, ...]


@dataclass(frozen=True)
class PublishedDelivery:
    """What one delivery came to in the table; `is_new` where this call wrote it."""

    delivery: Delivery
    is_new: bool


class SideFolder:
    """The delivered files of all feeds."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def feeds(self) -> tuple[str, ...]:
        if not self.root.is_dir():
            return ()
        return tuple(sorted(path.name for path in self.root.iterdir() if path.is_dir() and self.deliveries(path.name)))

    def deliveries(self, feed: str) -> list[Delivery]:
        """Return a feed's deliveries in their order."""
        found = [Delivery.from_json(path.read_bytes()) for path in (self.root / feed).glob("*.json")]
        return sorted(found, key=lambda delivery: delivery.number)

    def file_path(self, feed: str, sha256: str) -> Path:
        return self.root / feed / f"{sha256}.csv"

    def quarantine_path(self, feed: str, sha256: str) -> Path:
        return self.root / feed / QUARANTINE / f"{sha256}.csv"

    def lock(self, feed: str) -> Path:
        return self.root / feed / ".lock"

    def deliver(self, feed: str, content: bytes, file_name: str, reading: Reading, *, now: datetime) -> tuple[Delivery, bool]:
        """Keep a file and return its delivery, and whether it is new; a file that was delivered before stays as it was read then.

        A file that can't be a side table's, or that is to be read in another way than before, is a `SideFileError`.
        """
        if not _FEED.fullmatch(feed):
            raise SideFileError(f"Expected a feed's name of small letters, digits, - and _, was {feed!r}. Choose such a name.")
        sha256 = hashlib.sha256(content).hexdigest()
        parsed = parse_side_file(content, file_name, reading)
        with locked(self.lock(feed)):
            before = self.deliveries(feed)
            same = next((delivery for delivery in before if delivery.sha256 == sha256), None)
            if same is not None:
                return _require_same_reading(same, reading), False
            taken = _take(parsed, _known_of(self, before))
            delivery = Delivery(
                feed=feed,
                number=len(before),
                sha256=sha256,
                file_name=file_name,
                reading=reading,
                delivered_at=now.astimezone(UTC).isoformat(),
                rows=len(parsed.records),
                values=len(taken.values),
                repeated=taken.repeated,
                refused=len(taken.refused),
            )
            if taken.refused:
                write_file(self.quarantine_path(feed, sha256), _quarantine_text(parsed, taken.refused), is_read_only=True)
            write_file(self.file_path(feed, sha256), content, is_read_only=True)
            write_file(self.root / feed / f"{sha256}.json", delivery.to_json(), is_read_only=True)
            return delivery, True

    def read(self, delivery: Delivery) -> SideFile:
        """Parse a delivered file again; changed bytes are a `SideFileError`."""
        path = self.file_path(delivery.feed, delivery.sha256)
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != delivery.sha256:
            raise SideFileError(f"Expected {path} with the sha-256 of its name, was changed. Restore the file.")
        return parse_side_file(content, delivery.file_name, delivery.reading)

    def frames(self, feed: str) -> Iterator[tuple[Delivery, pl.DataFrame]]:
        """Yield each delivery of a feed, in order, with the rows that it adds to the table."""
        known: _Known = {}
        for delivery in self.deliveries(feed):
            yield delivery, _to_frame(delivery, _take(self.read(delivery), known).values)


def _require_same_reading(delivery: Delivery, reading: Reading) -> Delivery:
    if delivery.reading != reading:
        raise SideFileError(
            f"Expected {delivery.file_name} to be read as before ({delivery.reading}), was {reading}. "
            "Deliver a corrected file: what was known is never read anew."
        )
    return delivery


def _known_of(folder: SideFolder, deliveries: Sequence[Delivery]) -> _Known:
    known: _Known = {}
    for delivery in deliveries:
        _take(folder.read(delivery), known)
    return known


def _take(file: SideFile, known: _Known) -> Taken:
    """Return what counts of a file and add it to what is known; a row that contradicts it is refused as a whole."""
    by_row: dict[int, list[SideValue]] = {}
    for value in file.values:
        by_row.setdefault(value.source_row, []).append(value)
    counted: list[SideValue] = []
    refused = list(file.refused)
    repeated = 0
    for number, values in by_row.items():
        contradicted = [value for value in values if known.get(value.identity, _content(value)) != _content(value)]
        if contradicted:
            refused.append(_contradiction(number, contradicted[0], known))
            continue
        fresh = [value for value in values if value.identity not in known]
        repeated += len(values) - len(fresh)
        known.update((value.identity, _content(value)) for value in fresh)
        counted += fresh
    return Taken(tuple(counted), repeated, tuple(sorted(refused, key=lambda row: row.source_row)))


def _content(value: SideValue) -> tuple[float | None, str | None]:
    return value.value, value.text


def _contradiction(number: int, value: SideValue, known: _Known) -> RefusedRow:
    was, text = known[value.identity]
    detail = (
        f"expected {was if text is None else repr(text)} as delivered before for {value.name} of {value.key}, known at {value.known_at}"
    )
    said = f"was {value.value if value.text is None else repr(value.text)}; a correction needs a later known_at"
    return RefusedRow(number, "VALUE_CONTRADICTED", f"{detail}, {said}")


def _quarantine_text(file: SideFile, refused: Sequence[RefusedRow]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("source_row", "reason_code", "detail", *file.header))
    writer.writerows((row.source_row, row.reason_code, row.detail, *file.records[row.source_row - 1]) for row in refused)
    return text.getvalue().encode()


def _to_frame(delivery: Delivery, values: Sequence[SideValue]) -> pl.DataFrame:
    rows = [
        (
            delivery.feed,
            value.key,
            value.ts_event.date(),
            value.ts_event,
            value.known_at,
            value.name,
            value.value,
            value.text,
            delivery.source_file,
            value.source_row,
            delivery.number,
        )
        for value in values
    ]
    return pl.DataFrame(rows, schema=VALUE_SCHEMA, orient="row")


def publish(
    lakehouse: Lakehouse, folder: SideFolder, feeds: Sequence[str] = (), progress: Callable[[str], None] | None = None
) -> list[PublishedDelivery]:
    """Append what the table lacks of the deliveries of some feeds (default: all), one commit each; a repeat changes nothing.

    An empty table is so rebuilt from the folder.
    """
    done: list[PublishedDelivery] = []
    for feed in feeds or folder.feeds():
        with locked(folder.lock(feed)):
            written = counts_by_file(lakehouse, feed)
            for delivery, rows in folder.frames(feed):
                is_new = bool(len(rows)) and delivery.source_file not in written
                if is_new:
                    lakehouse.append(TABLE, rows)
                done.append(PublishedDelivery(delivery, is_new))
                if is_new and progress is not None:
                    progress(f"event=side_values_written feed={feed} revision={delivery.number} rows={len(rows)}")
    return done


def counts_by_file(lakehouse: Lakehouse, feed: str) -> dict[str, int]:
    """Return the rows that the table has of each delivered file of a feed."""
    found = lakehouse.frame(TABLE, equal_to("feed", feed), columns=("source_file",)).group_by("source_file").len()
    return dict(found.rows())


def differences(lakehouse: Lakehouse, folder: SideFolder) -> list[dict[str, Any]]:
    """Return where the table's rows are not those of the delivered files, file by file; feeds of the table without a folder included."""
    in_table = {row[0] for row in lakehouse.frame(TABLE, columns=("feed",)).unique().rows()}
    found = []
    for feed in sorted(in_table | set(folder.feeds())):
        expected = {delivery.source_file: len(rows) for delivery, rows in folder.frames(feed) if len(rows)}
        was = counts_by_file(lakehouse, feed)
        names = sorted(name for name in expected.keys() | was.keys() if expected.get(name) != was.get(name))
        found += [{"file": name, "expected_rows": expected.get(name, 0), "rows": was.get(name, 0)} for name in names]
    return found


def read_values(lakehouse: Lakehouse, feed: str) -> pl.DataFrame:
    """Return a feed's rows in the order of their delivery: what `domain.asof` joins."""
    return lakehouse.frame(TABLE, equal_to("feed", feed)).sort("revision", "source_row", "name", maintain_order=True)


def summarize(folder: SideFolder, feed: str) -> dict[str, Any]:
    """Return what a feed holds, counted from its delivered files."""
    deliveries, frames = zip(*folder.frames(feed), strict=True)
    values = pl.concat(frames)
    return {
        "feed": feed,
        "deliveries": len(deliveries),
        "values": len(values),
        "refused": sum(delivery.refused for delivery in deliveries),
        "keys": values["key"].unique().sort().to_list(),
        "names": values["name"].unique().sort().to_list(),
        "first_ts_event": values["ts_event"].min(),
        "last_ts_event": values["ts_event"].max(),
        "last_known_at": values["known_at"].max(),
    }
