"""The model card: what a model is, what it was judged on, and what its quotes are not, once as a value and twice as text.

What belongs here: the card's content and its two forms, Markdown and HTML. What must not: figures, files.
The chapters follow Mitchell et al., "Model Cards for Model Reporting" (2019).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape
from typing import Protocol

from tick_assets.domain.evaluation import TestFigures, ValidationFigures
from tick_assets.domain.gates import GateVerdict, format_figure
from tick_assets.domain.instruments import Instrument, Market
from tick_assets.domain.signals import Strategy
from tick_assets.domain.splits import EMBARGO_US, DateSplit
from tick_assets.domain.training import Configuration

SYNTHETIC_STATEMENT = (
    "The market is synthetic: a seeded process with a known edge. The verdict proves that the machinery tells an edge from "
    "none; it says nothing about any real market, and a model trained on it is refused on every account but the simulator."
)
QUOTES_STATEMENT = (
    "Quotes are indicative: a vendor's best bid and ask, not executable prices of an account. Commission, delay and slippage are "
    "assumptions of the market file. Swap of a position held over the broker's midnight is charged only where that file says so "
    "(`charges_swap`); no position crosses a UTC date."
)
NOT_STATEMENTS = (
    "No depth: one bid and one ask a tick, and nothing of what stands behind them. A larger order than the displayed size would move them.",
    "No real volume: sizes are what the vendor displays, not what was traded. Spot foreign exchange has no common tape.",
    "Not your broker's spreads: another feed quotes other spreads at other moments. The break-even multiple says how much wider.",
    "No rejects, requotes or partial fills of a real account: the backtest fills at the first quote after the delay.",
)
UNITS = {
    "bps": "basis points",
    "points": "points (price x price factor)",
    "usd": "US dollars",
    "pips": "pips",
    "ms": "milliseconds",
    "pct": "percent",
}
VERDICT_CHAPTER = "Verdict"
ALL_FEATURES_NOTE = (
    "Each is computed from ticks up to and including the event's own, by the one kernel that training, backtest and service share."
)


class DescribedFeature(Protocol):
    """What a registry says of one feature."""

    @property
    def name(self) -> str: ...
    @property
    def unit(self) -> str: ...
    @property
    def formula(self) -> str: ...
    @property
    def memory_s(self) -> float: ...
    @property
    def source(self) -> str: ...


@dataclass(frozen=True)
class CardTable:
    """A table of texts."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Chapter:
    """One heading with its sentences and tables, in this order."""

    title: str
    sentences: tuple[str, ...] = ()
    table: CardTable | None = None


@dataclass(frozen=True)
class ModelCard:
    """The whole card."""

    title: str
    summary: str
    chapters: tuple[Chapter, ...]


@dataclass(frozen=True)
class CardFacts:
    """What a card is made of. `registry` describes features; one without a description is named with the unit that its name states."""

    model_id: str
    verdict: GateVerdict
    validation: ValidationFigures
    test: TestFigures
    dataset_id: str
    code_commit: str
    is_synthetic: bool
    dates: tuple[str, ...]
    split: DateSplit
    training_events: int
    test_events: int
    feature_names: tuple[str, ...]
    feature_set: str
    sampling_clock: str
    label_set: str
    strategy: Strategy
    configuration: Configuration
    instrument: Instrument
    market: Market
    sources: tuple[str, ...] = ()
    seed: int | None = None
    registry: Sequence[DescribedFeature] = ()


def make_card(facts: CardFacts) -> ModelCard:
    """Put the card together; every figure comes from the facts."""
    chapters = (
        _intended_use(facts),
        _quotes(facts),
        _data(facts),
        _features(facts),
        _labels(facts),
        _costs(facts),
        _search(facts),
        _verdict(facts),
        _limits(facts),
        _reproduce(facts),
    )
    return ModelCard(f"Model card: {facts.model_id}", facts.verdict.answer, chapters)


def _intended_use(facts: CardFacts) -> Chapter:
    where = (
        "The simulator alone: it was trained on a synthetic market, and every other account refuses it."
        if facts.is_synthetic
        else "Shadow and demo accounts first; an account with money only while it has a passport and the account's owner allows it."
    )
    return Chapter(
        "Intended use",
        (
            (
                f"It says for events of {facts.instrument.symbol} whether a long or a short of {facts.strategy.horizon_s} s is the better "
                "side, as a probability; between the thresholds it is FLAT. Execution decides whether and how much to trade."
            ),
            where,
            "Not for: other symbols, other sampling clocks, other horizons, positions over a UTC date, or advice to anybody.",
        ),
    )


def _quotes(facts: CardFacts) -> Chapter:
    first = (SYNTHETIC_STATEMENT,) if facts.is_synthetic else ()
    named = (f"Sources: {', '.join(facts.sources)}.",) if facts.sources else ()
    return Chapter("What the quotes are and are not", (*first, QUOTES_STATEMENT, *NOT_STATEMENTS, *named))


def _data(facts: CardFacts) -> Chapter:
    rows = (
        ("symbol", facts.instrument.symbol),
        ("window", f"{facts.dates[0]} to {facts.dates[-1]}, {len(facts.dates)} dates with ticks (UTC)"),
        ("dataset id", facts.dataset_id),
        ("train", _stretch(facts.split.train)),
        ("validation", _stretch(facts.split.validation)),
        ("test, opened once", _stretch(facts.split.test)),
        ("events to fit on", f"{facts.training_events:,}"),
        ("events on test dates", f"{facts.test_events:,}"),
    )
    said = f"Whole dates in time order. Labels that meet a test label are purged; {EMBARGO_US // 1_000_000} s after one are embargoed."
    return Chapter("Data", (said,), CardTable(("What", "Value"), rows))


def _stretch(dates: Sequence[str]) -> str:
    if len(dates) == 1:
        return dates[0]
    return f"{dates[0]} to {dates[-1]}, {len(dates)} dates" if dates else "none"


def _features(facts: CardFacts) -> Chapter:
    known = {entry.name: entry for entry in facts.registry}
    rows = tuple(_feature_row(name, known.get(name)) for name in facts.feature_names)
    said = f"Feature set {facts.feature_set}, {len(facts.feature_names)} features, sampled by {facts.sampling_clock}. {ALL_FEATURES_NOTE}"
    return Chapter("Features", (said,), CardTable(("Feature", "Unit", "Formula", "Memory", "Source"), rows))


def _feature_row(name: str, entry: DescribedFeature | None) -> tuple[str, ...]:
    if entry is None:
        return name, unit_of(name), "", "", ""
    return name, entry.unit, entry.formula, f"{entry.memory_s:g} s", entry.source


def unit_of(name: str) -> str:
    """Return the unit that a feature's name ends on, or `none`."""
    return UNITS.get(name.rsplit("_", 1)[-1], "none")


def _labels(facts: CardFacts) -> Chapter:
    s = facts.strategy
    said = (
        f"{facts.label_set}: what a long and a short decided at the event would each have earned net, at bid and ask with delay and "
        f"costs; stop {s.stop_sigmas:g} and target {s.target_sigmas:g} times the expected move over {s.horizon_s} s, else closed after "
        f"{s.horizon_s} s. The model learns which of the two nets more. No label crosses 00:00 UTC."
    )
    return Chapter("Labels", (said,))


def _costs(facts: CardFacts) -> Chapter:
    instrument, market = facts.instrument, facts.market
    rows = (
        ("spread", "as quoted, on entry and exit"),
        ("commission", f"{instrument.commission_per_lot_side:g} {market.account_currency} a lot and side"),
        ("slippage", f"{instrument.slippage_mean_points:g} points on average, always against us"),
        ("delay", f"{market.latency_median_ms:g} ms in the median (log-normal, sigma {market.latency_sigma:g})"),
        ("size", f"{facts.strategy.max_position:g} lots of {instrument.contract_size:g}"),
        ("swap", "charged over the broker's midnight" if market.account.charges_swap else "not charged (`charges_swap` is false)"),
    )
    return Chapter(
        "Costs",
        ("Assumptions of the market file; draws are hashes of seed and signal, so they repeat.",),
        CardTable(("What", "Assumed"), rows),
    )


def _search(facts: CardFacts) -> Chapter:
    chosen = {**asdict(facts.configuration.booster), "threshold": facts.configuration.threshold}
    said = (
        f"{facts.validation.n_configurations} distinct configurations have been tried for this symbol and strategy, failed ones counted; "
        "the deflated Sharpe ratio pays for each. Score: Sharpe ratio of net hourly profit on purged, embargoed out-of-fold predictions."
    )
    rows = tuple((name, f"{value:g}") for name, value in chosen.items())
    seed = () if facts.seed is None else (("seed", str(facts.seed)),)
    return Chapter(
        "Model and search", ("Gradient-boosted trees (XGBoost, histogram method).", said), CardTable(("Chosen", "Value"), rows + seed)
    )


def _verdict(facts: CardFacts) -> Chapter:
    rows = tuple(
        (
            gate.name,
            "none" if gate.figure is None else format_figure(gate.figure),
            f"{gate.comparison} {format_figure(gate.threshold)}",
            gate.result,
        )
        for gate in facts.verdict.gates
    )
    return Chapter(VERDICT_CHAPTER, (facts.verdict.answer,), CardTable(("Gate", "Figure", "Needs", "Result"), rows))


def _limits(facts: CardFacts) -> Chapter:
    v, t = facts.validation, facts.test
    needed = f"{v.min_track_record:,.0f} hours" if v.min_track_record < float("inf") else "more hours than there are"
    return Chapter(
        "Known limits",
        (
            (
                f"The test has {t.n_trades:,} trades on {len(facts.split.test)} date(s) and {t.observations:,} market-open hours: other "
                "regimes, news and holidays of the rest of the year are not in it."
            ),
            f"At its out-of-fold Sharpe ratio it takes {needed} to be 95 % sure that it is above zero; the search had {v.observations:,}.",
            "Outside the feature ranges it was fitted on (widened by their own width) it has no view.",
            "A verdict ages: markets change. Compare the live events with the training by `tick drift`.",
        ),
    )


def _reproduce(facts: CardFacts) -> Chapter:
    return Chapter(
        "How to reproduce",
        (
            (
                f"`tick verify {facts.model_id}` makes dataset hashes, model bytes, figures and gates again from what is stored and "
                "compares them; it spends nothing."
            ),
            f"Dataset {facts.dataset_id}, code {facts.code_commit or 'of an uncommitted working tree'}: equal input gives equal bytes.",
        ),
    )


# The two forms.


def card_to_markdown(card: ModelCard, identities: Mapping[str, str] | None = None) -> str:
    """Return the card as Markdown, with identities as its last chapter when given."""
    chapters = list(card.chapters)
    if identities:
        chapters.append(Chapter("Identities", (), CardTable(("What", "Value"), tuple(identities.items()))))
    return "\n".join([f"# {card.title}", "", f"**{card.summary}**", "", *(_chapter_to_markdown(chapter) for chapter in chapters)])


def _chapter_to_markdown(chapter: Chapter) -> str:
    lines = [f"## {chapter.title}", "", *(f"- {sentence}" for sentence in chapter.sentences)]
    if chapter.table is not None:
        head, *rows = (_markdown_row(row) for row in (chapter.table.head, *chapter.table.rows))
        lines += ["", head, _markdown_row(["---"] * len(chapter.table.head)), *rows]
    return "\n".join([*lines, ""])


def _markdown_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def card_to_html(card: ModelCard) -> str:
    """Return the chapters as HTML, to stand in a section."""
    return f'<div class="card">{"".join(map(_chapter_to_html, card.chapters))}</div>'


def _chapter_to_html(chapter: Chapter) -> str:
    said = "".join(f"<p>{escape(sentence)}</p>" for sentence in chapter.sentences)
    return f"<h3>{escape(chapter.title)}</h3>{said}{'' if chapter.table is None else _table_to_html(chapter.table)}"


def _table_to_html(table: CardTable) -> str:
    """Return a table without the columns that have nothing in them."""
    shown = [i for i in range(len(table.head)) if any(row[i] for row in table.rows)]
    head = "".join(f'<th scope="col">{escape(table.head[i])}</th>' for i in shown)
    rows = "".join("<tr>" + "".join(f"<td>{escape(row[i])}</td>" for i in shown) + "</tr>" for row in table.rows)
    return f"<table><tr>{head}</tr>{rows}</table>"
