"""What Dagster is shown of several models in one account."""

from pathlib import Path

from tests.unit.domain.accounts import PATIENT, euro, yen
from tick_assets.assets.account import account_metadata
from tick_assets.domain.account import AccountLimits, trade_account
from tick_assets.domain.equity import view_account


def test_account_metadata_has_figures_plots_refusals_and_a_page(tmp_path: Path) -> None:
    run = trade_account([euro(gain=12), yen("2024-01-08T10:01:00")], PATIENT, AccountLimits(positions=1))
    shown = account_metadata(view_account(run), tmp_path)
    (figures,) = [record.data for record in shown["account"].records]
    assert (figures["n_trades"], figures["n_refused"], round(figures["net"], 6)) == (1, 1, 3.0)
    assert [record.data for record in shown["account_refusals"].records] == [{"reason": "LIMIT_POSITIONS", "orders": 1}]
    assert all(shown[name].value.startswith("![plot](data:image/png;base64,") for name in ("account_equity", "account_exposure"))
    page = (tmp_path / "account.html").read_text()
    assert "3.00 USD from 1 trade of 2 models on EURUSD, USDJPY, all costs charged" in page
    assert shown["account_page"].value == str(tmp_path / "account.html")
