"""The model card: what it says of quotes, data, costs and how to make it again, in both forms."""

from __future__ import annotations

from dataclasses import dataclass

from tests.unit.domain.pages import Page
from tests.unit.domain.report_values import small_report
from tick_assets.domain.model_card import CardTable, Chapter, ModelCard, _feature_row, card_to_html, card_to_markdown, unit_of


@dataclass(frozen=True)
class Described:
    """A registry's entry."""

    name: str
    unit: str
    formula: str
    memory_s: float
    source: str


def card() -> ModelCard:
    made = small_report().card
    assert made is not None
    return made


def test_card_chapters_in_order() -> None:
    assert [chapter.title for chapter in card().chapters] == [
        "Intended use",
        "What the quotes are and are not",
        "Data",
        "Features",
        "Labels",
        "Costs",
        "Model and search",
        "Verdict",
        "Known limits",
        "How to reproduce",
    ]


def test_card_markdown_says_what_the_quotes_are_not() -> None:
    text = card_to_markdown(card())
    assert text.startswith("# Model card: SYNCAL.direction@1\n\n**")
    for said in ("The market is synthetic", "Quotes are indicative", "No depth", "No real volume", "Not your broker's spreads"):
        assert said in text


def test_card_markdown_holds_dataset_costs_split_and_command() -> None:
    text = card_to_markdown(card(), {"code": "c0ffee"})
    assert f"| dataset id | {'d5' * 32} |" in text
    assert "| commission | 3.5 USD a lot and side |" in text
    assert "| window | 2024-01-08 to 2024-01-11, 4 dates with ticks (UTC) |" in text
    assert "| test, opened once | 2024-01-11 |" in text
    assert "`tick verify SYNCAL.direction@1`" in text
    assert "3 distinct configurations have been tried" in text
    assert text.endswith("## Identities\n\n\n| What | Value |\n| --- | --- |\n| code | c0ffee |\n")


def test_card_lists_every_feature_with_its_unit() -> None:
    text = card_to_markdown(card())
    assert "| spread_bps | basis points |" in text
    assert "| time_of_day_sin | none |" in text


def test_card_html_is_well_nested_and_leaves_empty_columns_out() -> None:
    page = Page(f"<main>{card_to_html(card())}</main>")
    assert page.open == []
    assert "Unit" in page.text
    assert "Formula" not in page.text


def test_card_text_is_escaped_in_both_forms() -> None:
    made = ModelCard("t", "s", (Chapter("<b>", ("a < b",), CardTable(("x",), (("1|2",),))),))
    assert "<h3>&lt;b&gt;</h3><p>a &lt; b</p>" in card_to_html(made)
    assert "| 1\\|2 |" in card_to_markdown(made)


def test_feature_row_of_a_registry_states_formula_memory_and_source() -> None:
    entry = Described("spread_bps", "basis points", "(ask - bid) / mid", 0, "this house")
    assert _feature_row("spread_bps", entry) == ("spread_bps", "basis points", "(ask - bid) / mid", "0 s", "this house")


def test_unit_of_a_name_is_its_suffix() -> None:
    assert (unit_of("log_return_1m_bps"), unit_of("sigma_horizon_points"), unit_of("quote_imbalance")) == (
        "basis points",
        "points (price x price factor)",
        "none",
    )
