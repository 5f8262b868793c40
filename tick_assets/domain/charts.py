"""Small charts as SVG text, for a report that needs no script and no network.

What belongs here: scales, axes and marks. What must not: what the numbers mean (`report`).
Colours are CSS classes that the page defines, so that one palette serves light and dark.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

Tick = tuple[float, str]
LEFT, RIGHT, TOP, BOTTOM = 62.0, 14.0, 12.0, 40.0
WIDE, HALF = 1000.0, 480.0
"""Widths in user units, close to the pixels they get on the page, so that text keeps its size."""
LABEL_WIDTH = 7.0
"""Room for one character of an axis label, in user units."""


@dataclass(frozen=True)
class Scale:
    """A linear map from values to user units."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


@dataclass(frozen=True)
class Plot:
    """The plot area of one chart."""

    x: Scale
    y: Scale
    height: float

    @property
    def width(self) -> float:
        return self.x.end + RIGHT

    @property
    def left(self) -> float:
        return self.x.start

    @property
    def right(self) -> float:
        return self.x.end

    @property
    def floor(self) -> float:
        return self.height - BOTTOM


@dataclass(frozen=True)
class Point:
    """One mark of a scatter; `note` is shown when a pointer rests on it."""

    x: float
    y: float
    note: str
    style: str = "mark"
    radius: float = 4.5


@dataclass(frozen=True)
class Bar:
    """One labelled bar."""

    label: str
    value: float
    note: str


def nice_ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Return round values that cover the range, about `count` of them."""
    if not high > low:
        low, high = low - 1.0, high + 1.0
    raw = (high - low) / max(1, count - 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1.0, 2.0, 2.5, 5.0, 10.0) if raw <= power * factor * 1.0001)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(i * step, 10) for i in range(first, last + 1)]


def format_tick(value: float) -> str:
    """Return an axis value with as many decimals as it needs; thousands (k) and millions (M) from 10,000 on."""
    size, unit = next(((size, unit) for size, unit in ((1e6, "M"), (1e3, "k")) if abs(value) >= max(size, 1e4)), (1.0, ""))
    scaled = value / size
    text = f"{scaled:,.0f}" if abs(scaled) >= 100 or float(scaled).is_integer() else f"{scaled:.3f}".rstrip("0").rstrip(".")
    return text.replace("-", "\N{MINUS SIGN}") + unit


def plot_of(
    x_range: tuple[float, float], y_values: Iterable[float], width: float, height: float, y_count: int = 5
) -> tuple[Plot, list[float]]:
    """Return a plot whose y axis ends on round values, and those values; zero is always on it."""
    values = [0.0, *y_values]
    ticks = nice_ticks(min(values), max(values), y_count)
    low, high = x_range if x_range[1] > x_range[0] else (x_range[0] - 0.5, x_range[1] + 0.5)
    return Plot(Scale(low, high, LEFT, width - RIGHT), Scale(ticks[0], ticks[-1], height - BOTTOM, TOP), height), ticks


def square_plot(low: float, high: float, width: float, height: float) -> Plot:
    """Return a plot with the same range on both axes."""
    return Plot(Scale(low, high, LEFT, width - RIGHT), Scale(low, high, height - BOTTOM, TOP), height)


def svg(label: str, plot: Plot, *parts: str, description: str = "") -> str:
    """Return a responsive drawing with a name and a description for those who can't see it."""
    return drawing(label, plot.width, plot.height, *parts, description=description)


def drawing(label: str, width: float, height: float, *parts: str, description: str = "") -> str:
    """Return marks in a frame of user units, named and described."""
    head = f'<svg viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{escape(label)}" xmlns="http://www.w3.org/2000/svg">'
    said = f"<desc>{escape(description)}</desc>" if description else ""
    return head + said + "".join(parts) + "</svg>"


def axes(plot: Plot, x_ticks: Sequence[Tick], y_ticks: Sequence[float], x_title: str, y_title: str) -> str:
    """Return grid lines, tick labels and titles."""
    lines = [_line("zero" if tick == 0 else "grid", plot.left, plot.y(tick), plot.right, plot.y(tick)) for tick in y_ticks]
    numbers = [_text("tick end", plot.left - 8, plot.y(tick) + 4, format_tick(tick)) for tick in y_ticks]
    names = [_text("tick middle", plot.x(at), plot.floor + 17, label) for at, label in _thinned(plot, x_ticks)]
    title = _text("axis middle", (plot.left + plot.right) / 2, plot.height - 4, x_title)
    middle = (plot.floor + TOP) / 2
    side = f'<text class="axis middle" transform="translate(13 {middle:.1f}) rotate(-90)">{escape(y_title)}</text>'
    return "".join([*lines, *numbers, *names, title, side])


def _thinned(plot: Plot, ticks: Sequence[Tick]) -> list[Tick]:
    """Drop labels that would touch their predecessor."""
    kept: list[Tick] = []
    free_from = -math.inf
    for at, label in ticks:
        half = len(label) * LABEL_WIDTH / 2
        if plot.x(at) - half >= free_from:
            kept.append((at, label))
            free_from = plot.x(at) + half
    return kept


def line(plot: Plot, xs: Sequence[float], ys: Sequence[float], style: str) -> str:
    """Return a line through the points."""
    return f'<path class="{style}" d="{_path(plot, xs, ys)}"/>' if len(xs) else ""


def area(plot: Plot, xs: Sequence[float], ys: Sequence[float], style: str) -> str:
    """Return the surface between the points and zero."""
    if not len(xs):
        return ""
    zero = plot.y(0.0)
    closing = f"L{plot.x(xs[-1]):.1f} {zero:.1f}L{plot.x(xs[0]):.1f} {zero:.1f}Z"
    return f'<path class="{style}" d="{_path(plot, xs, ys)}{closing}"/>'


def band(plot: Plot, low: float, high: float, label: str) -> str:
    """Return a shaded stretch of the x axis with its name on top."""
    left, right = plot.x(low), plot.x(high)
    box = f'<rect class="band" x="{left:.1f}" y="{TOP:.1f}" width="{max(0.0, right - left):.1f}" height="{plot.floor - TOP:.1f}"/>'
    return box + _text("tick middle", (left + right) / 2, TOP + 13, label)


def marker(plot: Plot, y: float, label: str) -> str:
    """Return a dashed horizontal line with its name."""
    return _line("marker", plot.left, plot.y(y), plot.right, plot.y(y)) + _text("tick end", plot.right - 4, plot.y(y) - 5, label)


def scatter(plot: Plot, points: Sequence[Point]) -> str:
    """Return circles with notes."""
    return "".join(
        f'<circle class="{p.style}" cx="{plot.x(p.x):.1f}" cy="{plot.y(p.y):.1f}" r="{p.radius}"><title>{escape(p.note)}</title></circle>'
        for p in points
    )


def bars(plot: Plot, values: Sequence[Bar], is_labelled: bool = True) -> str:
    """Return bars at x = 0, 1, 2 …, by sign in two styles, each with its value unless there are too many to read."""
    width = min(64.0, (plot.right - plot.left) / max(1, len(values)) * 0.6)
    return "".join(_bar(plot, i, bar, width, is_labelled) for i, bar in enumerate(values))


def _bar(plot: Plot, place: int, bar: Bar, width: float, is_labelled: bool) -> str:
    middle, tip, zero = plot.x(place), plot.y(bar.value), plot.y(0.0)
    box = f'x="{middle - width / 2:.1f}" y="{min(tip, zero):.1f}" width="{width:.1f}" height="{max(1.0, abs(tip - zero)):.1f}"'
    style = "gain" if bar.value > 0 else "loss"
    above = tip - 5 if bar.value > 0 else tip + 13
    value = _text("tick middle", middle, above, format_tick(round(bar.value)) if abs(bar.value) >= 10 else format_tick(round(bar.value, 1)))
    return f'<rect class="{style}" {box}><title>{escape(bar.note)}</title></rect>{value if is_labelled else ""}'


def columns(plot: Plot, values: Sequence[Bar], style: str = "column") -> str:
    """Return bars without labels at x = 0, 1, 2 …, for many values; `note` is shown when a pointer rests on one."""
    width = max(0.8, (plot.right - plot.left) / max(1, len(values)) * 0.78)
    return "".join(
        f'<rect class="{style}" x="{plot.x(place) - width / 2:.1f}" y="{plot.y(bar.value):.1f}" width="{width:.1f}" '
        f'height="{plot.y(0.0) - plot.y(bar.value):.1f}"><title>{escape(bar.note)}</title></rect>'
        for place, bar in enumerate(values)
        if bar.value > 0
    )


@dataclass(frozen=True)
class Cell:
    """One field of a heat map. Fields without a note are drawn together by style, so a large map stays small."""

    column: int
    row: int
    style: str
    note: str = ""


@dataclass(frozen=True)
class Grid:
    """The area of a heat map: so many columns and rows, with room for labels on the left and below."""

    columns: int
    rows: int
    width: float = WIDE
    row_height: float = 7.0
    left: float = 40.0
    top: float = 5.0

    @property
    def column_width(self) -> float:
        return min(26.0, (self.width - self.left - 4.0) / max(1, self.columns))

    @property
    def height(self) -> float:
        return self.top + self.rows * self.row_height + 22.0

    def box(self, cell: Cell) -> tuple[float, float, float, float]:
        """Return x, y, width and height, with a seam where there is room for one."""
        seam = 1.0 if self.column_width >= 4 else 0.0
        x, y = self.left + cell.column * self.column_width, self.top + cell.row * self.row_height
        return x, y, self.column_width - seam, self.row_height - min(1.0, seam)


def heat_map(label: str, grid: Grid, cells: Sequence[Cell], columns: Sequence[Tick], rows: Sequence[Tick], description: str) -> str:
    """Return coloured fields with the names of some columns (below) and rows (on the left)."""
    together: dict[str, list[str]] = {}
    for cell in cells:
        if not cell.note:
            x, y, width, height = grid.box(cell)
            together.setdefault(cell.style, []).append(f"M{x:.1f} {y:.1f}h{width:.1f}v{height:.1f}h-{width:.1f}z")
    paths = [f'<path class="{style}" d="{"".join(parts)}"/>' for style, parts in together.items()]
    noted = [_noted(grid, cell) for cell in cells if cell.note]
    row_names = [_text("tick end", grid.left - 6, grid.top + (row + 0.5) * grid.row_height + 4, name) for row, name in rows]
    column_names, free_from = [], -math.inf
    for column, name in columns:
        x = grid.left + column * grid.column_width
        if x >= free_from and x + len(name) * LABEL_WIDTH <= grid.width:
            column_names.append(_text("tick", x, grid.height - 7, name))
            free_from = x + (len(name) + 2) * LABEL_WIDTH
    return drawing(label, grid.width, grid.height, *paths, *noted, *row_names, *column_names, description=description)


def _noted(grid: Grid, cell: Cell) -> str:
    x, y, width, height = grid.box(cell)
    box = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'
    return f'<rect class="{cell.style}" {box}><title>{escape(cell.note)}</title></rect>'


def _path(plot: Plot, xs: Sequence[float], ys: Sequence[float]) -> str:
    return "M" + "L".join(f"{plot.x(x):.1f} {plot.y(y):.1f}" for x, y in zip(xs, ys, strict=True))


def _line(style: str, x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="{style}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(style: str, x: float, y: float, text: str) -> str:
    return f'<text class="{style}" x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'
