"""The comparison of an executor's code with the driver's, without Spark."""

from __future__ import annotations

from pathlib import Path

from tick_assets.lakehouse.executors import LIBRARIES, PACKAGE, code_here, refusal, source_digest

EXPECTED = {"Python": "3.11", "numpy": "2.4.0", "polars": "2.1.0"}


def test_refusal_of_equal_code_is_empty() -> None:
    assert refusal(EXPECTED, EXPECTED | {"more": "1"}, "host") == ""


def test_refusal_names_each_difference_and_the_executor() -> None:
    found = {"Python": "3.11", "numpy": "2.5.0"}
    said = refusal(EXPECTED, found, "host7 (/opt/python)")
    was = "was numpy 2.5.0, polars missing on the executor host7 (/opt/python). Install"
    assert said.startswith(f"Expected numpy 2.4.0, polars 2.1.0 as at the driver, {was}")


def test_code_here_covers_python_sources_and_libraries() -> None:
    assert set(code_here()) == {"Python", "tick_assets sources", *LIBRARIES}
    assert code_here()["tick_assets sources"] == source_digest(PACKAGE)


def test_source_digest_changes_with_text_and_name_and_not_with_the_place(tmp_path: Path) -> None:
    digests = []
    for place, name, text in (("a", "x.py", "1"), ("b", "x.py", "1"), ("c", "x.py", "2"), ("d", "y.py", "1")):
        (tmp_path / place / "domain").mkdir(parents=True)
        (tmp_path / place / "domain" / name).write_text(text)
        digests.append(source_digest(tmp_path / place))
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3
