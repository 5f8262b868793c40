"""The report says how often the gate is wrong, and says so when nobody knows."""

from tick_assets.domain.calibration import count_passes
from tick_assets.domain.report_gate_error import gate_error_section

ROWS = [count_passes("break_even", None, [False] * 59), count_passes("edge", 2.0, [True] * 9 + [False])]


def test_gate_error_section_gives_shares_and_bounds() -> None:
    page = gate_error_section(ROWS, "2024-02-01, 20 trials", True)
    assert "<td>no edge, gross edge exactly equal to costs</td>" in page
    assert '<td class="n">59</td><td class="n">0</td><td class="n">0.0%</td><td class="n">0.0%</td><td class="n">5.0%</td>' in page
    assert "<td>edge of 2 times the costs</td>" in page
    assert '<td class="n">90.0%</td><td class="n">60.6%</td><td class="n">99.5%</td>' in page
    assert "another policy" not in page


def test_gate_error_section_of_another_policy_says_so() -> None:
    assert "Of another policy than the one that judged here." in gate_error_section(ROWS, "2024-02-01", False)


def test_gate_error_section_without_a_calibration_says_unknown() -> None:
    assert "Not known" in gate_error_section([], "", True)
