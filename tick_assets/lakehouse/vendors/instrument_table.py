"""The vendor's own list of instruments: code, point factor, first tick; read, kept, looked up, turned into a section of the market file.

What belongs here: parsing the vendor's three metadata formats, validation, the table's file, the TOML skeleton.
What must not: asking the vendor, comparing with a configuration (`ingestion` does).

Understood, by content:
- csv: `instrument,code,group,point_factor,tick_start,description`, what `write_table` writes; group and description may be missing
- json of the JSON feed, `/v1/instruments` (a list with groups) or `/v1/instruments/<code>` (one, with its first tick in `histories`):
  point factor = 10 ^ priceScale, and 10 / pipValue where the vendor leaves priceScale open, as it does for some exchange-traded funds
- json or jsonp of the older site: an object of `{name, pipValue, history_start_tick, historical_filename}`; what has no file name was
  never in the feed

Point factors are powers of ten: price = points / factor. `tick_start` is a UTC date, empty where the vendor does not say.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from tick_assets.lakehouse.durable_files import write_file

COLUMNS = ("instrument", "code", "group", "point_factor", "tick_start", "description")
REQUIRED = ("instrument", "code", "point_factor", "tick_start")
MAXIMUM_FACTOR = 10**9
ASSET_CLASS_OF_GROUP = {
    "fx_metals": "metal",
    "cmd_metals": "metal",
    "vccy": "crypto",
    "crypto_curr": "crypto",
    "idx_europe": "index_europe",
}
ASSET_CLASS_OF_CODE = {"AUS.": "index_australia", "HKG.": "index_hong_kong"}
"""Beginnings of the codes of Asian indices that keep another clock than the vendor's group."""
_SYMBOL = re.compile(r"[A-Z0-9]{3,24}")
_CODE = re.compile(r"[A-Z0-9.\-]{3,28}")
_JSONP = re.compile(r"^[\w.$]+\((.*)\)\s*;?\s*$", re.DOTALL)


class InstrumentTableError(ValueError):
    """Metadata that are none, or that contradict themselves."""


@dataclass(frozen=True)
class ListedInstrument:
    """One instrument as the vendor lists it; `tick_start` is the UTC date of its first tick, null where unknown."""

    symbol: str
    code: str
    point_factor: int
    tick_start: date | None = None
    group: str = ""
    description: str = ""

    @property
    def digits(self) -> int:
        """Decimals of a price."""
        return len(str(self.point_factor)) - 1

    def __post_init__(self) -> None:
        if not _SYMBOL.fullmatch(self.symbol) or not _CODE.fullmatch(self.code) or self.symbol != symbol_of(self.code):
            raise InstrumentTableError(f"Expected a code and its symbol like EUR-USD and EURUSD, was {self.code!r} and {self.symbol!r}.")
        if not 1 <= self.point_factor <= MAXIMUM_FACTOR or self.point_factor != 10**self.digits:
            raise InstrumentTableError(f"Expected a power of ten as point factor of {self.symbol}, was {self.point_factor}.")


class InstrumentTable(Mapping[str, ListedInstrument]):
    """Instruments by symbol."""

    def __init__(self, instruments: Iterable[ListedInstrument]) -> None:
        self._instruments: dict[str, ListedInstrument] = {}
        for each in instruments:
            if each.symbol in self._instruments:
                raise InstrumentTableError(f"Expected each instrument once, was {each.symbol} twice. Remove one of the lines.")
            self._instruments[each.symbol] = each

    def __getitem__(self, symbol: str) -> ListedInstrument:
        return self._instruments[symbol]

    def __iter__(self) -> Iterator[str]:
        return iter(self._instruments)

    def __len__(self) -> int:
        return len(self._instruments)

    def updated(self, newer: InstrumentTable) -> InstrumentTable:
        """Return this table with newer entries put in; what the newer ones leave open stays as it was known."""
        merged = dict(self._instruments)
        for symbol, entry in newer.items():
            old = merged.get(symbol)
            known = {} if old is None else {f.name: getattr(old, f.name) for f in fields(entry) if not getattr(entry, f.name)}
            merged[symbol] = replace(entry, **known)
        return InstrumentTable(merged[symbol] for symbol in sorted(merged))


def symbol_of(code: str) -> str:
    """Return the symbol of a vendor's code or name: EUR-USD, EUR/USD and AAPL.US-USD are EURUSD and AAPLUSUSD."""
    return re.sub(r"[./\-]", "", code).upper()


def parse_instruments(content: bytes, name: str) -> InstrumentTable:
    """Parse metadata of any of the module's formats; anything else is an `InstrumentTableError` that names the place."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InstrumentTableError(f"Expected text in {name}, was other bytes ({error}).") from error
    if match := _JSONP.match(text.strip()):
        text = match[1]
    table = InstrumentTable(_from_json(text, name) if text.lstrip()[:1] in "{[" and text.strip() else _from_csv(text, name))
    if not table:
        raise InstrumentTableError(f"Expected instruments in {name}, was none. Give the vendor's table as csv or json.")
    return table


def _from_csv(text: str, name: str) -> list[ListedInstrument]:
    reader = csv.DictReader(io.StringIO(text), strict=True)
    try:
        header = reader.fieldnames or []
    except csv.Error as error:
        raise InstrumentTableError(f"{name} line 1: {error}") from error
    missing = [column for column in REQUIRED if column not in header]
    unknown = [column for column in header if column not in COLUMNS]
    if missing or unknown:
        raise InstrumentTableError(f"Expected the columns {','.join(COLUMNS)} in {name}, was missing {missing}, unknown {unknown}.")
    found = []
    try:
        for row in reader:
            if None in row or None in row.values():
                raise InstrumentTableError(f"Expected {len(header)} cells, was another number.")
            found.append(_listed(row["instrument"], row["code"], row["point_factor"], row["tick_start"], row))
    except (InstrumentTableError, csv.Error) as error:
        raise InstrumentTableError(f"{name} line {reader.line_num}: {error}") from error
    return found


def _listed(symbol: str, code: str, factor: str, first: str, row: Mapping[str, Any]) -> ListedInstrument:
    try:
        start = date.fromisoformat(first) if first else None
        return ListedInstrument(symbol, code, int(factor), start, row.get("group", ""), _text(dict(row)))
    except InstrumentTableError:
        raise
    except ValueError as error:
        raise InstrumentTableError(f"Expected a whole point factor and a date YYYY-MM-DD, was {factor!r} and {first!r}.") from error


def _from_json(text: str, name: str) -> list[ListedInstrument]:
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise InstrumentTableError(f"Expected json in {name}, was not ({error}).") from error
    found = document.get("instruments", [document]) if isinstance(document, dict) else document
    if isinstance(found, list):
        groups = _groups(document.get("groups") if isinstance(document, dict) else None)
        return [_entry(index, entry, lambda each: _from_feed(each, groups), name) for index, entry in enumerate(found)]
    if isinstance(found, dict):
        return [_entry(key, entry, _from_site, name) for key, entry in found.items() if _is_in_feed(entry)]
    raise InstrumentTableError(f"Expected a list or an object `instruments` in {name}, was {type(found).__name__}.")


def _groups(found: Any) -> dict[Any, str]:
    """Return group names by id; the feed writes some with blanks."""
    known = [group for group in found or () if isinstance(group, dict)] if isinstance(found, list | None) else []
    return {group.get("id"): _group_name(group.get("code")) for group in known}


def _group_name(code: Any) -> str:
    return re.sub(r"\s+", "-", str(code or "").strip().lower())


def _is_in_feed(entry: Any) -> bool:
    return not isinstance(entry, dict) or bool(entry.get("historical_filename"))


def _entry(place: object, entry: Any, parse: Callable[[dict[str, Any]], ListedInstrument], name: str) -> ListedInstrument:
    try:
        return parse(entry)
    except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError, OSError) as error:
        raise InstrumentTableError(f"{name} instrument {place!r}: {type(error).__name__} {error}") from error


def _from_feed(entry: dict[str, Any], groups: Mapping[Any, str]) -> ListedInstrument:
    code, scale = str(entry["code"]).upper(), entry.get("priceScale")
    factor = _factor_of_pip(entry["pipValue"]) if scale is None else 10 ** int(scale)
    first_ms = next((history["from"] for history in entry.get("histories") or () if history["period"] == "TICK"), None)
    group = _group_name(entry.get("groupCode")) or groups.get(entry.get("groupId"), "")
    return ListedInstrument(symbol_of(code), code, factor, _date_of(first_ms), group, _text(entry))


def _from_site(entry: dict[str, Any]) -> ListedInstrument:
    code = str(entry["name"]).upper().replace("/", "-")
    first = _date_of(entry.get("history_start_tick"))
    return ListedInstrument(symbol_of(code), code, _factor_of_pip(entry["pipValue"]), first, "", _text(entry))


def _factor_of_pip(pip: Any) -> int:
    """A pip is ten points, so the factor is 10 / pip."""
    exact = 10 / float(pip)
    if abs(exact - round(exact)) > 1e-6 * exact:
        raise InstrumentTableError(f"Expected a pipValue that is a power of ten, was {pip}.")
    return round(exact)


def _date_of(stamp_ms: Any) -> date | None:
    return datetime.fromtimestamp(int(stamp_ms) / 1000, UTC).date() if stamp_ms else None


def _text(entry: dict[str, Any]) -> str:
    return " ".join(str(entry.get("description") or "").split())


def read_table(path: Path) -> InstrumentTable | None:
    """Return the kept table, or none where nothing was imported yet."""
    return parse_instruments(path.read_bytes(), path.name) if path.is_file() else None


def write_table(path: Path, table: InstrumentTable) -> None:
    """Replace the kept table in one step."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for each in table.values():
        first = each.tick_start.isoformat() if each.tick_start else ""
        writer.writerow([each.symbol, each.code, each.group, each.point_factor, first, each.description])
    write_file(path, text.getvalue().encode())


def asset_class_of(group: str, code: str = "") -> str:
    """Return the market calendar's class of an instrument by the vendor's group and code; empty where none fits."""
    by_code = next((name for prefix, name in ASSET_CLASS_OF_CODE.items() if group.startswith("idx_") and code.startswith(prefix)), "")
    by_prefix = next((name for prefix, name in (("fx_", "fx"), ("idx_", "index")) if group.startswith(prefix)), "")
    return by_code or ASSET_CLASS_OF_GROUP.get(group) or by_prefix


def market_section(listed: ListedInstrument) -> str:
    """Return a `[symbols.X]` section of the market file: what the vendor says is filled in, the rest is marked as yours to check."""
    base, _, profit = listed.code.rpartition("-")
    asset_class = asset_class_of(listed.group, listed.code)
    lots = 100_000.0 if asset_class == "fx" else 1.0
    unknown = "" if asset_class else f"  # none fits the vendor's group {listed.group!r}: choose one of the market calendar's"
    return f"""[symbols.{listed.symbol}]  # {listed.description}
asset_class = "{asset_class}"{unknown}
price_factor = {listed.point_factor}
digits = {listed.digits}
dukascopy_code = "{listed.code}"
base_currency = "{base}"
profit_currency = "{profit}"
# Your broker's contract and costs: these figures are placeholders.
contract_size = {lots}
commission_per_lot_side = 0.0
slippage_mean_points = 1.0
volume_min = 0.01
volume_step = 0.01
volume_max = 100.0
swap_long_points = 0.0
swap_short_points = 0.0
stops_level = 0
freeze_level = 0
execution = "market"
filling_mode = 3
"""
