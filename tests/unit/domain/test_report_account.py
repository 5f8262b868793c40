"""The account's sections: well nested, without script, every refusal in words."""

from dataclasses import replace
from datetime import UTC, datetime

from tests.unit.domain.accounts import EUR, MARKET, PATIENT, euro, orders_of, random_line, yen
from tests.unit.domain.pages import Page, drawings
from tests.unit.domain.test_equity import OVER_AN_HOUR
from tick_assets.domain.account import AccountLimits, Line, trade_account
from tick_assets.domain.account_loop import OUTCOMES
from tick_assets.domain.equity import view_account
from tick_assets.domain.fills import EXIT_REASONS
from tick_assets.domain.instruments import AccountTerms
from tick_assets.domain.page import document
from tick_assets.domain.report_account import REFUSALS, SHOWN_HOURS, SYNTHETIC_STATEMENT, account_page, account_section
from tick_assets.domain.session_closes import SessionRule


def test_account_section_shows_equity_drawdown_exposure_and_refusals() -> None:
    run = trade_account([euro(), yen("2024-01-08T10:01:00")], PATIENT, AccountLimits(positions=1, gross_exposure=250_000.0, leverage=30.0))
    page = document("account", account_section(view_account(run)))
    parsed = Page(page)
    text = " ".join(parsed.text)
    assert parsed.open == []
    assert "2 models on EURUSD, USDJPY in one account" in text
    assert "Limits: 1 position a symbol, 1 position in all, 250,000 gross exposure, margin at 1:30." in text
    assert "LIMIT_POSITIONS 1 as many positions as the account may hold" in text
    assert {drawing.attrib["aria-label"] for drawing in drawings(page)} == {
        "Equity and balance of the account", "Drawdown of the account's equity", "Gross exposure by hour",
    }  # fmt: skip
    assert "<script" not in page


def test_account_section_states_money_of_the_run() -> None:
    view = view_account(trade_account([euro(gain=12)], MARKET))
    text = " ".join(Page(account_section(view)).text)
    assert (
        "Gross profit, USD 10.00 Commission, USD \N{MINUS SIGN}7.00 Swap, USD 0.00 Net profit, USD 3.00 Equity at the end, USD 100,003.00"
        in text
    )
    assert "Refused Orders that were wanted and not filled. None." in text


def test_account_section_says_when_margin_fell_below_the_stop_out() -> None:
    for balance, said in ((1_000.0, True), (100_000.0, False)):
        market = replace(PATIENT, account=AccountTerms(balance=balance, leverage=50.0, stop_out_pct=50.0))
        run = trade_account([Line(EUR, [OVER_AN_HOUR], orders_of((0, 1, "2024-01-01T11:09:00")), 1.0)], market)
        assert ("below the stop-out, which is not played" in account_section(view_account(run))) == said


def test_account_section_every_refusal_has_words() -> None:
    assert set(REFUSALS) == {"PRICE_OFF", "INVALID_STOPS"} | set(OUTCOMES[len(EXIT_REASONS) + 1 :])


def test_account_section_of_an_empty_account() -> None:
    text = " ".join(Page(account_section(view_account(trade_account([], MARKET, AccountLimits(session=SessionRule()))))).text)
    assert "0 models on no symbol" in text
    assert "No open hours." in text


def test_account_section_draws_a_long_run_in_few_points() -> None:
    page = account_section(view_account(trade_account([random_line(1, EUR)], MARKET)))
    assert SHOWN_HOURS == 2_000
    assert len(page) < 60_000


def test_account_page_begins_with_what_was_earned_and_names_synthetic_markets() -> None:
    issued = datetime(2024, 2, 1, 9, 30, tzinfo=UTC)
    synthetic = replace(euro(gain=12), instrument=replace(EUR, symbol="SYNEDGE"))
    pages = [account_page(view_account(trade_account([line], MARKET)), issued) for line in (euro(gain=-90), synthetic)]
    assert Page(pages[0]).text[0] == "\N{MINUS SIGN}99.00 USD from 1 trade of 1 model on EURUSD, all costs charged"
    assert "1 open hour · opening balance 100,000 USD · issued 2024-02-01 09:30 UTC." in Page(pages[0]).text[1]
    assert [SYNTHETIC_STATEMENT in page for page in pages] == [False, True]
