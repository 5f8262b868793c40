"""Datasets: a manifest that pins tables, and reading what it pins.

What belongs here: making, finding, comparing manifests, and training frames read from the tables at their tags. What must not: the
folder that keeps them (`dataset_folder`), DVC (`tracking.dataset_versions`), models, or reading a view: Trino ignores a version on a view
without a word.

A manifest's id is the sha-256 of its canonical JSON. The tag is in the manifest, so it can't hold that id: it is `ds_` and 12 digits of
the sha-256 of the manifest's content, that is everything but snapshots and tags. The same content is the same dataset: `create` returns
the manifest that exists while its tags do, whatever other symbols were published since. In the object store:

    datasets/<id>/manifest.json             the manifest, write-once
    datasets/by_content/<content>.json      {"id": …} of the newest manifest of this content
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import polars as pl

from tick_assets.domain.dataset import TrainingDay, TrainingSet, clean_rows_of, training_set
from tick_assets.domain.instruments import is_synthetic
from tick_assets.domain.kernel import ALL_FEATURE_NAMES, FEATURE_SET, SAMPLING_CLOCK, SIGMA_INDEX, feature_names
from tick_assets.domain.labels import LABEL_SET
from tick_assets.domain.passports import canonical_json, sha256_hex
from tick_assets.domain.signals import event_id
from tick_assets.domain.ticks import Ticks
from tick_assets.lakehouse.catalog import MAIN, Filter, partition_filter
from tick_assets.lakehouse.content_hash import combine, frame_hashes, partition_hashes
from tick_assets.lakehouse.hour_ledger import DayCompleteness, share_of
from tick_assets.lakehouse.silver import to_ticks
from tick_assets.lakehouse.tables import definition_of

if TYPE_CHECKING:
    from tick_assets.lakehouse.catalog import Lakehouse

SCHEMA = 1
PUBLICATIONS = "evidence.publications"
PINNED = ("silver.ticks", "silver.features", "silver.labels", PUBLICATIONS)
_TRAINING_VIEW = Path("models") / "gold" / "training_examples.sql"


class ManifestStore(Protocol):
    """The part of an object store that manifests need."""

    def put_bytes(self, key: str, content: bytes) -> None: ...

    def get_bytes(self, key: str) -> bytes: ...

    def exists(self, key: str) -> bool: ...


class DatasetError(LookupError):
    """A dataset is unknown, its tables hold nothing for it, or features are older than ticks."""


@dataclass(frozen=True)
class DatasetRequest:
    """What to pin: symbols, both dates inclusive (default: all that is published), and the sets of features and labels."""

    symbols: tuple[str, ...]
    first: date | None = None
    last: date | None = None
    view_sql_sha256: str = ""
    feature_set: str = FEATURE_SET
    label_set: str = LABEL_SET
    completeness: tuple[DayCompleteness, ...] = ()
    """What `hour_ledger.days_complete` said of the window; it is pinned with the rows."""
    sampling_clock: str = SAMPLING_CLOCK
    leader: str = ""
    """The symbol whose ticks the features of all the symbols were made beside; empty: none."""


@dataclass(frozen=True)
class Dataset:
    """A pinned dataset."""

    manifest: Mapping[str, Any]

    @property
    def id(self) -> str:
        return sha256_hex(canonical_json(self.manifest))

    @property
    def symbols(self) -> tuple[str, ...]:
        return tuple(self.manifest["symbols"])

    @property
    def window(self) -> tuple[date, date]:
        window = self.manifest["window"]
        return date.fromisoformat(window["from"]), date.fromisoformat(window["to"])

    @property
    def first(self) -> date:
        return self.window[0]

    @property
    def last(self) -> date:
        return self.window[1]

    @property
    def rows(self) -> Mapping[str, int]:
        """Rows of each pinned table within symbols and window."""
        return dict(self.manifest["rows"])

    @property
    def is_synthetic(self) -> bool:
        return bool(self.manifest["is_synthetic"])

    def completeness(self, symbol: str) -> float | None:
        """Return the share of a symbol's expected hours that were `ok` when the dataset was made; null in one that states none."""
        return share_of([day for day in days_from(self.manifest) if day.symbol == symbol])

    @property
    def sampling_clock(self) -> str:
        """The clock that sampled the events; a manifest states another one than the default, so that older ones keep their ids."""
        return str(self.manifest.get("sampling_clock", SAMPLING_CLOCK))

    @property
    def feature_set(self) -> str:
        return str(self.manifest.get("feature_set", FEATURE_SET))

    @property
    def leader(self) -> str:
        """The symbol that leads those of the dataset; empty: none."""
        return str(self.manifest.get("leader", {}).get("symbol", ""))

    @property
    def content_key(self) -> str:
        return _content_key(self.manifest)

    def tag(self, table: str) -> str:
        """Return the tag of one pinned table."""
        return str(self.manifest["tables"][table]["tag"])


def view_sql_sha256(dbt_project: Path) -> str:
    """Return the sha-256 of the training view's SQL, as dbt reads it."""
    return hashlib.sha256((dbt_project / _TRAINING_VIEW).read_bytes()).hexdigest()


# Making.


def window_of(lakehouse: Lakehouse, symbol: str, first: date | None, last: date | None) -> tuple[date, date]:
    """Return the window to pin: the configured dates, or the first and last published date that has ticks."""
    published = lakehouse.frame(PUBLICATIONS, partition_filter(symbol, first, last)).filter(pl.col("silver_rows") > 0)
    if not len(published):
        raise DatasetError(
            f"Expected published ticks of {symbol} from {first} to {last}, was none. Run `tick backfill --symbols {symbol} …`."
        )
    dates = published["date"].to_list()
    return min(dates), max(dates)


def create(lakehouse: Lakehouse, objects: ManifestStore, request: DatasetRequest) -> Dataset:
    """Pin what is published now and keep the manifest; a request whose content was pinned before returns that dataset."""

    def known(key: str) -> Sequence[Dataset]:
        found = _known(objects, key)
        return [found] if found else []

    dataset = _pin(lakehouse, request, known)
    objects.put_bytes(f"datasets/{dataset.id}/manifest.json", canonical_json(dataset.manifest))
    objects.put_bytes(f"datasets/by_content/{dataset.content_key}.json", canonical_json({"id": dataset.id}))
    return dataset


def pin(lakehouse: Lakehouse, request: DatasetRequest, known: Sequence[Dataset] = ()) -> Dataset:
    """Pin what is published now without keeping the manifest; one of the known datasets is returned when it has the same content."""
    return _pin(lakehouse, request, lambda _: known)


def _pin(lakehouse: Lakehouse, request: DatasetRequest, known: Callable[[str], Sequence[Dataset]]) -> Dataset:
    snapshots = {table: _required_snapshot(lakehouse, table) for table in PINNED}
    content = _content(lakehouse, request, {table: str(snapshot) for table, snapshot in snapshots.items()})
    key = _content_key(content)
    for dataset in known(key):
        if dataset.content_key == key and is_pinned(lakehouse, dataset):
            return dataset
    tag = f"ds_{key[:12]}"
    tables = {table: {"snapshot_id": str(_pinned_at(lakehouse, table, tag, snapshot)), "tag": tag} for table, snapshot in snapshots.items()}
    return Dataset({**content, "tables": tables})


def _known(objects: ManifestStore, key: str) -> Dataset | None:
    index = f"datasets/by_content/{key}.json"
    return fetch(objects, json.loads(objects.get_bytes(index))["id"]) if objects.exists(index) else None


def fetch(objects: ManifestStore, dataset_id: str) -> Dataset:
    """Read a manifest from the object store; an absent or altered one is a `DatasetError`."""
    key = f"datasets/{dataset_id}/manifest.json"
    if not objects.exists(key):
        raise DatasetError(f"Expected a manifest at {key}, was none. See `tick dataset list`.")
    return checked(Dataset(json.loads(objects.get_bytes(key))), dataset_id)


def checked(dataset: Dataset, dataset_id: str) -> Dataset:
    """Return the dataset if it has the id it was stored under, else raise `DatasetError`."""
    if dataset.id != dataset_id:
        raise DatasetError(f"Expected dataset {dataset_id}, was {dataset.id}. The manifest was altered: restore it or make a new dataset.")
    return dataset


def _pinned_at(lakehouse: Lakehouse, table: str, tag: str, snapshot: int) -> int:
    """Tag a snapshot; a tag left by an earlier manifest of the same content stays where it is."""
    existing = lakehouse.tags(table).get(tag)
    if existing is None:
        lakehouse.tag(table, tag, snapshot)
    return existing if existing is not None else snapshot


def is_pinned(lakehouse: Lakehouse, dataset: Dataset) -> bool:
    """Tell whether every tag of a dataset still names its snapshot; in a table that was built again the tag alone counts (`repin`)."""
    return not _astray(lakehouse, dataset)


def _astray(lakehouse: Lakehouse, dataset: Dataset) -> list[str]:
    """Return the tables whose tag is gone or names another snapshot than the manifest."""

    def is_right(table: str, entry: Mapping[str, str]) -> bool:
        tagged, named = lakehouse.tags(table).get(entry["tag"]), int(entry["snapshot_id"])
        return tagged is not None and (tagged == named or lakehouse.table(table).snapshot_by_id(named) is None)

    return [table for table, entry in dataset.manifest["tables"].items() if not is_right(table, entry)]


def repin(lakehouse: Lakehouse, dataset: Dataset) -> list[str]:
    """Set the tags of a dataset that are gone or moved, and return their tables.

    A tag goes back to the snapshot that the manifest names, or, in a table that was built again, to `main` when that holds the very rows.
    `DatasetError` says which table holds others; then no tag is set.
    """
    targets: dict[str, int] = {}
    for table in _astray(lakehouse, dataset):
        named = int(dataset.manifest["tables"][table]["snapshot_id"])
        target = named if lakehouse.table(table).snapshot_by_id(named) else lakehouse.snapshot_id(table)
        if target is None or not _holds(lakehouse, dataset, table, str(target)):
            raise DatasetError(
                f"Expected the rows of dataset {dataset.id[:12]} in {table}, was neither its snapshot {named} nor the same rows now. "
                "Build the dates again (`tick backfill`), or make a new dataset (`tick train`)."
            )
        targets[table] = target
    for table, target in targets.items():
        lakehouse.drop_tag(table, dataset.tag(table))
        lakehouse.tag(table, dataset.tag(table), target)
    return sorted(targets)


def _holds(lakehouse: Lakehouse, dataset: Dataset, table: str, ref: str) -> bool:
    condition = partition_filter(dataset.symbols, *dataset.window)
    if table != PUBLICATIONS:
        return combine(table, partition_hashes(lakehouse, table, condition, ref)) == dataset.manifest["content_hashes"][table]
    rows = lakehouse.frame(table, condition, ref).sort("symbol", "date").select("symbol", "date", "publication_id").rows()
    return [[symbol, day.isoformat(), publication] for symbol, day, publication in rows] == dataset.manifest["publications"]


def current_content_key(lakehouse: Lakehouse, dataset: Dataset) -> str:
    """Return the content key that a dataset of the same request would have now; nothing is tagged."""
    manifest = dataset.manifest
    request = DatasetRequest(
        dataset.symbols, *dataset.window, manifest["view_sql_sha256"], manifest["feature_set"], manifest["label_set"], days_from(manifest),
        dataset.sampling_clock, dataset.leader,
    )  # fmt: skip
    return _content_key(_content(lakehouse, request, {table: str(_required_snapshot(lakehouse, table)) for table in PINNED}))


def _required_snapshot(lakehouse: Lakehouse, table: str) -> int:
    snapshot = lakehouse.snapshot_id(table)
    if snapshot is None:
        raise DatasetError(f"Expected rows in {table}, was an empty table. Materialize it first: `tick backfill`.")
    return snapshot


def _content(lakehouse: Lakehouse, request: DatasetRequest, refs: Mapping[str, str]) -> dict[str, Any]:
    condition = partition_filter(request.symbols, request.first, request.last)
    published = lakehouse.frame(PUBLICATIONS, condition, refs[PUBLICATIONS]).sort("symbol", "date")
    if not len(published):
        raise DatasetError(
            f"Expected publications of {', '.join(request.symbols)} ({request.first or 'begin'} to {request.last or 'end'}), was none. "
            "Run `tick backfill`."
        )
    _check_features(lakehouse, condition, refs, published)
    _check_sampling(lakehouse, condition, refs, request)
    led = _leader_entry(lakehouse, condition, refs, request, published["date"].to_list())
    parts = {table: partition_hashes(lakehouse, table, condition, refs[table]) for table in PINNED[:-1]}
    hashes = {table: combine(table, found) for table, found in parts.items()}
    sources = lakehouse.frame("silver.ticks", condition, refs["silver.ticks"], ("source",))["source"].unique().to_list()
    dates: list[date] = published["date"].to_list()
    return {
        "schema": SCHEMA,
        "symbols": sorted(request.symbols),
        "window": {
            "from": (request.first or min(dates)).isoformat(),
            "to": (request.last or max(dates)).isoformat(),
        },
        "feature_set": request.feature_set,
        "label_set": request.label_set,
        **({} if request.sampling_clock == SAMPLING_CLOCK else {"sampling_clock": request.sampling_clock}),
        **led,
        "view_sql_sha256": request.view_sql_sha256,
        "publications": [[row["symbol"], row["date"].isoformat(), row["publication_id"]] for row in published.to_dicts()],
        "completeness": [[day.symbol, day.date, day.hours_ok, day.hours_expected] for day in request.completeness],
        "content_hash": sha256_hex(canonical_json(hashes)),
        "content_hashes": hashes,
        "rows": {table: sum(part.rows for part in found) for table, found in parts.items()},
        "is_synthetic": any(is_synthetic(symbol, str(source)) for symbol in request.symbols for source in sources),
    }


def _check_features(lakehouse: Lakehouse, condition: Filter, refs: Mapping[str, str], published: pl.DataFrame) -> None:
    """Refuse features or labels of another publication than the ticks: they would be left out without a word."""
    key = ("symbol", "date", "publication_id")
    for table in PINNED[:-1]:
        found = lakehouse.frame(table, condition, refs[table], key).unique()
        stale = found.join(published, on=key, how="anti").sort(key)
        if len(stale):
            first = stale.row(0, named=True)
            raise DatasetError(
                f"Expected rows of {table} of the published ticks, was another publication on {len(stale)} days, first "
                f"{first['symbol']} {first['date']}. Materialize {table.replace('.', '/')} for them again."
            )


def _check_sampling(lakehouse: Lakehouse, condition: Filter, refs: Mapping[str, str], request: DatasetRequest) -> None:
    """Refuse events of another clock or feature set, or labels of other barriers: the market file changed after they were made."""
    columns = ("symbol", "date", "seq", "event_id", "feature_set")
    events = lakehouse.frame("silver.features", condition, refs["silver.features"], columns).select(columns).unique(("symbol", "date"))
    others = events.filter(pl.col("feature_set") != request.feature_set).sort("symbol", "date")
    if len(others):
        symbol, day, found = others.select("symbol", "date", "feature_set").row(0)
        raise DatasetError(
            f"Expected features of {request.feature_set}, was other on {len(others)} days, first {symbol} {day} with {found}. "
            "Materialize silver/features for them again."
        )
    labels = lakehouse.frame("silver.labels", condition, refs["silver.labels"], ("symbol", "date", "label_set"))
    stale = [(row[0], row[1]) for row in events.rows() if row[3] != event_id(row[0], row[1].isoformat(), row[2], request.sampling_clock)]
    stale += labels.filter(pl.col("label_set") != request.label_set).select("symbol", "date").unique().rows()
    if stale:
        symbol, day = min(stale)
        raise DatasetError(
            f"Expected events of {request.sampling_clock} with labels {request.label_set}, was other on {len(set(stale))} days, first "
            f"{symbol} {day}. Materialize silver/features and silver/labels for them again."
        )


def _leader_entry(
    lakehouse: Lakehouse, condition: Filter, refs: Mapping[str, str], request: DatasetRequest, dates: Sequence[date]
) -> dict[str, Any]:
    """Return what the manifest states of the leader: its symbol, and the publication of each date that has ticks.

    Features that were made beside another publication are refused. The pinned snapshot of `silver.ticks` holds the leader's rows too.
    """
    if not request.leader:
        return {}
    listed = lakehouse.frame(PUBLICATIONS, partition_filter(request.leader, min(dates), max(dates)), refs[PUBLICATIONS])
    listed = listed.filter((pl.col("silver_rows") > 0) & pl.col("date").is_in(dates)).select("date", "publication_id").sort("date")
    columns = ("symbol", "date", "leader_publication_id")
    made = lakehouse.frame("silver.features", condition, refs["silver.features"], columns).select(columns).unique().sort(columns)
    stale = made.join(listed, on="date", how="left").filter(pl.col("leader_publication_id").ne_missing(pl.col("publication_id")))
    if len(stale):
        raise DatasetError(
            f"Expected features made beside the published ticks of {request.leader}, was other on {len(stale)} days, first "
            f"{stale['symbol'][0]} {stale['date'][0]}. Materialize silver/features for them again."
        )
    return {"leader": {"symbol": request.leader, "publications": [[day.isoformat(), each] for day, each in listed.rows()]}}


def days_from(manifest: Mapping[str, Any]) -> tuple[DayCompleteness, ...]:
    """Return the completeness of each day that a manifest states; one made before it was stated has none."""
    return tuple(DayCompleteness(*row) for row in manifest.get("completeness", ()))


def _content_key(manifest: Mapping[str, Any]) -> str:
    return sha256_hex(canonical_json({key: value for key, value in manifest.items() if key != "tables"}))


def difference(before: Dataset, after: Dataset) -> dict[str, Any]:
    """Return what differs between two datasets: changed fields, and publications only in one of them or changed."""
    fields = {
        key: {"before": before.manifest.get(key), "after": after.manifest.get(key)}
        for key in sorted(before.manifest.keys() | after.manifest.keys())
        if key not in ("publications", "tables") and before.manifest.get(key) != after.manifest.get(key)
    }
    old, new = ({(row[0], row[1]): row[2] for row in dataset.manifest["publications"]} for dataset in (before, after))
    changed = [[*key, old.get(key), new.get(key)] for key in sorted(old.keys() | new.keys()) if old.get(key) != new.get(key)]
    return {"fields": fields, "publications": changed}


# Reading.


def read_pinned(lakehouse: Lakehouse, dataset: Dataset, table: str, symbols: Sequence[str] = ()) -> pl.DataFrame:
    """Return the published rows of one table at its tag, within the dataset's symbols and window, in the order of date, symbol, key."""
    names = tuple(symbols) or dataset.symbols
    rows = lakehouse.frame(table, partition_filter(names, *dataset.window), _tag_that_is_there(lakehouse, dataset, table))
    listed = pl.DataFrame(
        dataset.manifest["publications"], schema={"symbol": pl.String, "date": pl.String, "publication_id": pl.String}, orient="row"
    ).with_columns(pl.col("date").str.to_date())
    key = definition_of(table).key
    return rows.join(listed, on=["symbol", "date", "publication_id"], how="semi").sort("date", "symbol", *key)


def _tag_that_is_there(lakehouse: Lakehouse, dataset: Dataset, table: str) -> str:
    tag = dataset.tag(table)
    if tag not in lakehouse.tags(table):
        raise DatasetError(
            f"Expected the tag {tag} on {table}, which pins dataset {dataset.id[:12]}, was none: somebody removed it. "
            f"`tick dataset repin {dataset.id[:12]}` sets it again."
        )
    return tag


def read_examples(lakehouse: Lakehouse, dataset: Dataset, symbols: Sequence[str] = ()) -> pl.DataFrame:
    """Return the sampled events with the features of the dataset's set and, where they have one, labels (else null)."""
    features = read_pinned(lakehouse, dataset, "silver.features", symbols).filter(pl.col("feature_set") == dataset.feature_set)
    features = features.drop(set(ALL_FEATURE_NAMES) - set(feature_names(dataset.feature_set)), strict=False)
    labels = read_pinned(lakehouse, dataset, "silver.labels", symbols).filter(pl.col("label_set") == dataset.manifest["label_set"])
    joined = features.join(labels.drop("publication_id"), on=["symbol", "date", "event_id"], how="left")
    return joined.drop("publication_id").sort("symbol", "date", "ts_event", "seq")


def check_content(lakehouse: Lakehouse, dataset: Dataset) -> dict[str, str]:
    """Hash the pinned tables again and return the tables whose content is not what the manifest says: {} is well."""
    found = {}
    for table, expected in dataset.manifest["content_hashes"].items():
        condition = partition_filter(dataset.symbols, *dataset.window)
        actual = combine(table, partition_hashes(lakehouse, table, condition, _tag_that_is_there(lakehouse, dataset, table)))
        if actual != expected:
            found[table] = actual
    return found


def require_content(lakehouse: Lakehouse, dataset: Dataset) -> Dataset:
    """Return a dataset whose tags stand and whose tables hold what it states; else raise `DatasetError` with the remedy."""
    astray = _astray(lakehouse, dataset)
    if astray:
        raise DatasetError(
            f"Expected the tags that pin dataset {dataset.id[:12]}, was gone or moved on {', '.join(astray)}. "
            f"`tick dataset repin {dataset.id[:12]}` sets them again."
        )
    differing = check_content(lakehouse, dataset)
    if differing:
        raise DatasetError(
            f"Expected the content that dataset {dataset.id[:12]} states, was other in {', '.join(differing)}. "
            "`tick drill` tells whether the raw files still give it."
        )
    return dataset


def read_training_set(lakehouse: Lakehouse, dataset: Dataset, symbol: str) -> TrainingSet:
    """Return one symbol's training set: events with features and labels, and the clean ticks of every published date."""
    examples = read_examples(lakehouse, dataset, [symbol])
    ticks = read_pinned(lakehouse, dataset, "silver.ticks", [symbol])
    by_day = {values[0]: part for values, part in ticks.partition_by("date", as_dict=True).items()}
    events = {values[0]: part for values, part in examples.partition_by("date", as_dict=True).items()}
    made_as = dataset.sampling_clock, dataset.feature_set
    days = [_training_day(day, by_day[day].sort("seq"), events.get(day, examples[:0]).sort("seq"), *made_as) for day in sorted(by_day)]
    return training_set(symbol, days)


def read_leader_ticks(lakehouse: Lakehouse, dataset: Dataset) -> Ticks:
    """Return the clean ticks of the dataset's leader on all its dates, in time order, as they were pinned."""
    leader = dataset.manifest["leader"]
    listed = pl.DataFrame(leader["publications"], schema={"date": pl.String, "publication_id": pl.String}, orient="row")
    condition, tag = partition_filter(leader["symbol"], *dataset.window), _tag_that_is_there(lakehouse, dataset, "silver.ticks")
    rows = lakehouse.frame("silver.ticks", condition, tag)
    kept = rows.join(listed.with_columns(pl.col("date").str.to_date()), on=["date", "publication_id"], how="semi")
    return to_ticks(kept.sort("date", "seq"))


def _training_day(day: date, ticks: pl.DataFrame, events: pl.DataFrame, clock: str, feature_set: str) -> TrainingDay:
    names = feature_names(feature_set)
    clean = Ticks(
        ticks["ts_event"].dt.epoch("us").to_numpy(),
        ticks["bid_points"].to_numpy(),
        ticks["ask_points"].to_numpy(),
        ticks["bid_size"].fill_null(np.nan).to_numpy(),
        ticks["ask_size"].fill_null(np.nan).to_numpy(),
    )
    features = np.ascontiguousarray(events.select(names).to_numpy(), dtype=np.float64)
    seq = events["seq"].to_numpy()
    ends = events["ts_label_end"].fill_null(events["ts_event"]) if len(events) else events["ts_event"]
    return TrainingDay(
        date=day.isoformat(),
        ticks=clean,
        seq=seq.astype(np.int64),
        event_row=clean_rows_of(ticks["seq"].to_numpy(), seq),
        features=features.reshape(len(events), len(names)),
        sigma_points=features[:, SIGMA_INDEX] if len(events) else np.empty(0),
        label=events["label"].fill_null(0).cast(pl.Int8).to_numpy(),
        long_net_bps=events["long_net_bps"].fill_null(np.nan).to_numpy(),
        short_net_bps=events["short_net_bps"].fill_null(np.nan).to_numpy(),
        ts_label_end_us=ends.dt.epoch("us").to_numpy(),
        clock=clock,
        feature_set=feature_set,
    )


def examples_hash(examples: pl.DataFrame) -> str:
    """Return the content hash of exported training examples."""
    return combine("silver.features", frame_hashes(definition_of("silver.features"), examples))


def current_publications(lakehouse: Lakehouse, symbols: Sequence[str], first: date | None, last: date | None) -> pl.DataFrame:
    """Return what is published now, by symbol and date."""
    return lakehouse.frame(PUBLICATIONS, partition_filter(tuple(symbols), first, last), MAIN).sort("symbol", "date")
