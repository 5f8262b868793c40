"""What every materialization reports: rows, time range, versions, seconds, peak memory and something to look at.

What belongs here: the shape of metadata and its small plots. What must not: anything an asset computes.
"""

from __future__ import annotations

import base64
import io
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import dagster as dg

from tick_assets.domain.data_answers import answer
from tick_assets.domain.sessions import LABELS
from tick_assets.domain.tick_statistics import Figures, SymbolStatistics, by_date, by_session, total
from tick_assets.lakehouse.resources_ledger import Step, Usage, measured
from tick_assets.lakehouse.servers import full_disk, silent_servers
from tick_assets.partitions import models_of
from tick_assets.settings import Settings

OWNERS = ["team:data"]
MODEL_OWNERS = ["team:quant"]

PLOTTED_DATES, PLOTTED_SYMBOLS = 130, 12
NAMES_INSIDE, FEW_POINTS = 4, 30
"""More names than that stand beside a plot, not in it; a line of fewer points shows them."""

Row = Mapping[str, Any]


@dataclass
class Report:
    """What one asset run collects while it works; `metadata` turns it into what Dagster shows."""

    started: float = field(default_factory=time.perf_counter)
    values: dict[str, Any] = field(default_factory=dict)
    usage: Usage = field(default_factory=Usage)

    def metadata(self) -> dict[str, Any]:
        """Return the values with seconds and peak memory (of this process and its children while the asset worked) added."""
        return self.values | {
            "seconds": round(time.perf_counter() - self.started, 3),
            "peak_memory_mb": round(self.usage.peak_mb, 1),
            "code_commit": os.environ.get("TICK_CODE_COMMIT", "unknown"),
        }


@contextmanager
def reporting(context: dg.AssetExecutionContext, name: str) -> Iterator[Report]:
    """Time an asset and log its beginning and end as events; an error beside a server that is away names that server first."""
    report = Report()
    partitions = len(context.partition_keys) if context.has_partition_key_range or context.has_partition_key else 0
    context.log.info(f"event=started asset={name} partitions={partitions}")
    with naming_servers(context, "postgres", "s3"), measured(_step(context, name), _ledger_folder(context)) as report.usage:
        yield report
    context.log.info(f"event=finished asset={name} seconds={time.perf_counter() - report.started:.2f}")


def _step(context: dg.AssetExecutionContext, name: str) -> Step:
    """Return what the resource ledger is told of this run's work: symbols of models by their keys, of data by the run's scope."""
    keys = list(context.partition_keys) if context.has_partition_key_range or context.has_partition_key else []
    commit = os.environ.get("TICK_CODE_COMMIT", "unknown")
    if keys and "|" in keys[0]:
        return Step(context.run.run_id, name, tuple(sorted({symbol for symbol, _ in models_of(keys)})), code_commit=commit)
    scope, road = (getattr(context.resources, role, None) for role in ("scope", "road"))
    symbols = scope.active(road.settings) if scope and road else ()
    return Step(context.run.run_id, name, symbols, (min(keys), max(keys)) if keys else (), commit)


def _ledger_folder(context: dg.AssetExecutionContext) -> Path | None:
    road = getattr(context.resources, "road", None)
    return road.settings.resources_dir if road else None


@contextmanager
def naming_servers(context: dg.AssetExecutionContext, *names: str) -> Iterator[None]:
    """Name the servers that are away, or the full disk, when the work inside fails: a driver's own message has an address at best."""
    try:
        yield
    except Exception as error:
        road = getattr(context.resources, "road", None)
        trouble = _trouble(road.settings, names, error) if road else ""
        if not trouble:
            raise
        raise dg.Failure(
            f"Expected {trouble}, then run the same again: what readers see is whole. "
            f"The error was {type(error).__name__}: {str(error)[:500]}"
        ) from error


def _trouble(settings: Settings, names: Sequence[str], error: Exception) -> str:
    """Say what lies beneath an error, and what to do; nothing where neither servers nor disk explain it."""
    if room := full_disk(settings, error):
        return f"{room}. Make room (a server that died of it comes back with `tick up`)"
    away = silent_servers(settings, tuple(names))
    return f"{' and '.join(away)} to answer, was away. Start it (`tick up`, `tick status`)" if away else ""


def table(rows: Sequence[Row], limit: int = 400) -> dg.MetadataValue:
    """Return rows as a table that the UI shows in place; a long one is cut, and its last row says so."""
    shown = [{key: _cell(value) for key, value in row.items()} for row in rows[:limit]]
    if len(rows) > limit:
        shown.append({key: "…" if i else f"{len(rows) - limit} more" for i, key in enumerate(shown[0])})
    return dg.MetadataValue.table(records=[dg.TableRecord(row) for row in shown] or [dg.TableRecord({"rows": "none"})])


def _cell(value: Any) -> Any:
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    return value if isinstance(value, (str, int, float, bool)) or value is None else str(value)


def day_range(dates: Sequence[date]) -> str:
    """Return `first .. last (n dates)`."""
    return f"{min(dates).isoformat()} .. {max(dates).isoformat()} ({len(dates)} dates)" if dates else "no dates"


def silver_spec(name: str, deps: Sequence[str], description: str) -> dg.AssetSpec:
    """Return what Dagster is told of a table that Spark writes."""
    return dg.AssetSpec(
        ["silver", name],
        deps=[key.split("/") for key in deps],
        group_name="silver",
        owners=OWNERS,
        kinds={"spark", "iceberg"},
        description=description,
        metadata={"dagster/table_name": f"lakehouse.silver.{name}"},
    )


def day_rows(rows: Sequence[Row], dates: Sequence[date]) -> dict[str, Any]:
    """Return the total, the dates and the rows by table, symbol and date (`lakehouse.silver.count_days`) as metadata."""
    return {"dagster/row_count": sum(row["rows"] for row in rows), "time_range": day_range(dates), "days": table(rows)}


def day_plot(name: str, rows: Sequence[Row]) -> dg.MetadataValue:
    """Return a bar chart of the rows by symbol and date."""
    labels = [f"{row['symbol']} {row['date']}" for row in rows]
    return bar_plot(f"{name} by symbol and date", labels, {name: [float(row["rows"]) for row in rows]})


def tick_statistics_metadata(statistics: Sequence[SymbolStatistics]) -> dict[str, Any]:
    """Return tick counts and spreads by symbol, date and session window, as tables and plots; of a long range the newest dates."""
    counted = [each for each in statistics if each.hours.height]
    sessions = {each.symbol: by_session(each) for each in counted}
    windows = [name for name in LABELS if any(name in found for found in sessions.values())]
    return {
        "dagster/row_count": sum(total(each).tick_count for each in counted),
        "time_range": day_range(sorted({day for each in statistics for day in each.dates})),
        "answers": table([{"symbol": each.symbol, "completeness": each.completeness, "answer": answer(each)} for each in statistics]),
        "ticks_by_date": _date_plots(counted, "ticks by date", "tick_count"),
        "spread_by_date": _date_plots(counted, "median spread by date, bps of the mid price", "spread_median_bps"),
        "ticks_by_session": bar_plot("ticks by session window", windows, _window_values(sessions, windows, "tick_count")),
        "spread_by_session": bar_plot(
            "median spread by session window, bps of the mid price", windows, _window_values(sessions, windows, "spread_median_bps")
        ),
        "sessions": table([_session_row(symbol, name, found) for symbol, each in sessions.items() for name, found in each.items()]),
        "rejects": table([_reject_row(each.symbol, *found) for each in counted for found in each.reject_counts().items()]),
    }


def _date_plots(statistics: Sequence[SymbolStatistics], title: str, name: str) -> dg.MetadataValue:
    """Return one plot a symbol, of its newest dates: symbols differ too much for one axis."""
    plots = [bar_plot(title, [], {})] if not statistics else []
    for each in statistics[:PLOTTED_SYMBOLS]:
        shown = list(by_date(each).items())[-PLOTTED_DATES:]
        values = [float(getattr(figures, name) or 0) for _, figures in shown]
        plots.append(bar_plot(f"{each.symbol}: {title}", [day.isoformat() for day, _ in shown], {each.symbol: values}))
    return dg.MetadataValue.md("\n\n".join(str(plot.value) for plot in plots))


def _window_values(found: Mapping[str, Mapping[str, Figures]], windows: Sequence[str], name: str) -> dict[str, list[float]]:
    """Return the named figure of every window by symbol, zero where there is none."""
    empty = Figures()
    return {symbol: [float(getattr(each.get(window, empty), name) or 0) for window in windows] for symbol, each in found.items()}


def _reject_row(symbol: str, reason: str, rows: int) -> dict[str, Any]:
    return {"symbol": symbol, "reason_code": reason, "rows": rows}


def _session_row(symbol: str, session: str, figures: Figures) -> dict[str, Any]:
    return {
        "symbol": symbol,
        "session": session,
        "ticks": figures.tick_count,
        "ticks_per_minute": figures.ticks_per_minute,
        "spread_median_points": figures.spread_median_points,
        "spread_mean_points": figures.spread_mean_points,
        "spread_p95_points": figures.spread_p95_points,
        "spread_median_bps": figures.spread_median_bps,
        "zero_spread_share": figures.zero_spread_share,
    }


def bar_plot(title: str, labels: Sequence[str], series: Mapping[str, Sequence[float]]) -> dg.MetadataValue:
    """Return a small bar chart, one colour a series."""
    figure, axes = _figure(title)
    width = 0.8 / max(len(series), 1)
    for i, (name, values) in enumerate(series.items()):
        axes.bar([x + i * width for x in range(len(values))], values, width, label=name)
    step = max(1, len(labels) // 12)
    axes.set_xticks(range(0, len(labels), step), [labels[i] for i in range(0, len(labels), step)], rotation=30, fontsize=7)
    return _picture(figure, axes, len(series))


def row_plot(title: str, values: Mapping[str, float]) -> dg.MetadataValue:
    """Return one bar a row, its name at the left and its figure at its end, on a logarithmic scale: for figures of very different size."""
    shown = {name: value for name, value in values.items() if value > 0}
    figure, axes = _figure(title, len(shown))
    bars = axes.barh(list(shown)[::-1], list(shown.values())[::-1], height=0.7)
    axes.bar_label(bars, fmt="{:.3g}", fontsize=7, padding=2)
    if shown:
        axes.set_xscale("log")
        axes.margins(x=0.15)
    return _picture(figure, axes, 1)


def line_plot(title: str, series: Mapping[str, tuple[Sequence[Any], Sequence[float]]], *, is_log: bool = False) -> dg.MetadataValue:
    """Return a small line chart of {name: (x, y)}; a short line shows its points, for one point is no line."""
    figure, axes = _figure(title, len(series))
    for name, (x, y) in series.items():
        axes.plot(x, y, label=name, linewidth=1, marker="." if len(x) < FEW_POINTS else "")
    if is_log and any(value > 0 for _, y in series.values() for value in y):
        axes.set_yscale("log")
    if any(isinstance(x[0], date) for x, _ in series.values() if x):
        figure.autofmt_xdate()
    return _picture(figure, axes, len(series))


def _figure(title: str, names: int = 0) -> tuple[Any, Any]:
    """Return an empty plot; it grows with the names that must stand beside it."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6.4, max(2.6, 0.8 + 0.17 * names)), dpi=80)
    axes.set_title(title, fontsize=9)
    axes.tick_params(labelsize=7, which="both")
    axes.grid(alpha=0.3)
    axes.set_prop_cycle(color=matplotlib.color_sequences["tab20" if names > 10 else "tab10"])
    return figure, axes


def _picture(figure: Any, axes: Any, names: int) -> dg.MetadataValue:
    from matplotlib import pyplot

    if names > NAMES_INSIDE:
        axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5))
    elif names > 1:
        axes.legend(fontsize=7)
    figure.tight_layout()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    pyplot.close(figure)
    return dg.MetadataValue.md(f"![plot](data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()})")


def now() -> datetime:
    """Return the present as an aware time; the one place where assets read the clock."""
    return datetime.now(UTC)
