"""The report names every suspect of the leak firewall, guilty ones first."""

from tick_assets.domain.leak_findings import FEATURE, STEP, Statement
from tick_assets.domain.report_leaks import leaks_section

CLEARED = Statement(FEATURE, "spread_bps", "prefix_invariance, stored_values", True, 12, 0.0, None, "")
GUILTY = Statement(STEP, "threshold", "refit_without_test", False, 2, 1.0, 1_704_700_000_000_000, "Fit it on train dates alone.")


def test_leaks_section_counts_and_puts_the_guilty_first() -> None:
    page = leaks_section([CLEARED, GUILTY])
    assert "1 of 2 cleared (1 features, 0 labels, 1 steps)" in page
    assert page.index("threshold") < page.index("spread_bps")
    assert "Fit it on train dates alone." in page
    assert "prefix invariance, stored values" in page
