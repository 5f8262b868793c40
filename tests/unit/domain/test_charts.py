"""Scales and marks of the report's charts."""

import xml.etree.ElementTree as ET

import pytest

from tick_assets.domain import charts


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0, 100, [0, 25, 50, 75, 100]), (-1, 1, [-1, -0.5, 0, 0.5, 1]), (0, 0, [-1, -0.5, 0, 0.5, 1]), (3, 14, [0, 5, 10, 15])],
)
def test_nice_ticks_cover_the_range(low: float, high: float, expected: list[float]) -> None:
    assert charts.nice_ticks(low, high) == expected


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1500.0, "1,500"),
        (0.25, "0.25"),
        (-2.0, "\N{MINUS SIGN}2"),
        (0.0, "0"),
        (9999.0, "9,999"),
        (12_500.0, "12.5k"),
        (-150_000.0, "\N{MINUS SIGN}150k"),
        (1_500_000.0, "1.5M"),
    ],
)
def test_format_tick(value: float, text: str) -> None:
    assert charts.format_tick(value) == text


def test_scale_maps_ends_to_ends() -> None:
    scale = charts.Scale(0.0, 10.0, 100.0, 200.0)
    assert (scale(0.0), scale(5.0), scale(10.0)) == (100.0, 150.0, 200.0)


def test_chart_is_well_formed_and_escapes_notes() -> None:
    plot, ticks = charts.plot_of((0, 3), [1.0, -2.0, 5.0], charts.HALF, 200)
    marks = charts.scatter(plot, [charts.Point(1, 2, "<b>&")]) + charts.bars(plot, [charts.Bar("a", -1.0, 'x"y')])
    grid = charts.axes(plot, [(0.0, "a<b")], ticks, "x", "y")
    drawn = charts.svg("a & b", plot, grid, marks, charts.line(plot, [0, 1], [1, 2], "oof"), charts.area(plot, [0, 1], [1, 2], "depth"))
    root = ET.fromstring(drawn)
    assert root.attrib["aria-label"] == "a & b"


def test_axes_drop_labels_that_would_touch() -> None:
    plot, ticks = charts.plot_of((0, 100), [1.0], charts.HALF, 200)
    many = charts.axes(plot, [(float(i), f"label {i}") for i in range(101)], ticks, "", "")
    assert 3 < many.count("label") < 12


def test_line_without_points_draws_nothing() -> None:
    plot, _ = charts.plot_of((0, 0), [], charts.HALF, 200)
    assert charts.line(plot, [], [], "oof") + charts.area(plot, [], [], "depth") == ""


def test_heat_map_draws_plain_fields_together_and_noted_ones_alone() -> None:
    cells = [charts.Cell(0, 0, "ok1"), charts.Cell(1, 0, "ok1"), charts.Cell(0, 1, "failed", "a<b")]
    root = ET.fromstring(charts.heat_map("map", charts.Grid(2, 2), cells, [(0.0, "Mon")], [(0.0, "00h")], "words"))
    assert [(each.tag.split("}")[1], each.get("class")) for each in root] == [
        ("desc", None),
        ("path", "ok1"),
        ("rect", "failed"),
        ("text", "tick end"),
        ("text", "tick"),
    ]
    assert root[2][0].text == "a<b"


def test_heat_map_keeps_its_fields_inside_however_many_there_are() -> None:
    for count in (1, 30, 130):
        grid = charts.Grid(count, 24)
        x, y, width, height = grid.box(charts.Cell(count - 1, 23, "ok1"))
        assert x + width <= grid.width
        assert y + height <= grid.height - 20


def test_columns_leave_out_what_is_zero() -> None:
    plot, _ = charts.plot_of((-0.6, 2.4), [1.0, 0.0, 3.0], charts.HALF, 200)
    drawn = charts.columns(plot, [charts.Bar("a", 1.0, "one"), charts.Bar("b", 0.0, "none"), charts.Bar("c", 3.0, "three")])
    assert drawn.count("<rect") == 2
    assert "none" not in drawn
