"""Evidence rows: what service and execution wrote, column by column, the whole document kept."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path

from tests.unit.lakehouse.local_catalog import local_lakehouse
from tick_assets.lakehouse import evidence
from tick_assets.lakehouse.tables import definition_of

SIGNAL = {
    "signal_id": "s1",
    "event_id": "e1",
    "symbol": "SYNEDGE",
    "strategy": "direction",
    "action": "OPEN",
    "view": "LONG",
    "probability": 0.61,
    "ts_event": "2024-01-08T10:00:00.5Z",
    "issued_at": "2024-01-08T10:00:00.6Z",
    "valid_until": "2024-01-08T10:00:05.5Z",
    "exit_at": None,
    "bid_price": 1.1,
    "ask_price": 1.10004,
    "stop_loss": 1.09,
    "take_profit": 1.11,
    "max_position": 0.1,
    "mode": "live",
    "is_synthetic": True,
    "model": {"id": "SYNEDGE.direction@1", "sha256": "m1", "passport_id": "p1"},
    "features_sha256": "f1",
    "reasons": [],
}
ORDER = {
    "event_id": "s1:2:ACKED",
    "signal_id": "s1",
    "order_key": "s1",
    "symbol": "SYNEDGE",
    "state": "ACKED",
    "account": 1000001,
    "ts_event": "2024-01-08T10:00:00.7Z",
    "side": "BUY",
    "quantity": 0.1,
    "venue_order_id": 5,
    "venue_deal_id": 7,
    "venue_code": "10009",
    "position_id": 5,
    "price": 1.10004,
    "reason": "",
}


def test_signal_rows_every_member_has_its_column() -> None:
    (row,) = evidence.signal_rows([SIGNAL, SIGNAL])
    assert set(row) == set(definition_of("evidence.signals").column_types)
    assert row["ts_event"] == datetime(2024, 1, 8, 10, 0, 0, 500_000, tzinfo=UTC)
    assert row["date"] == date(2024, 1, 8)
    assert (row["model_id"], row["exit_at"], json.loads(row["payload_json"])) == ("SYNEDGE.direction@1", None, SIGNAL)


def test_order_rows_words_of_the_venue_become_the_terminals() -> None:
    (row,) = evidence.order_rows([ORDER])
    assert set(row) == set(definition_of("evidence.orders").column_types)
    assert (row["ticket"], row["deal"], row["retcode"], row["volume"], row["account"]) == (5, 7, 10009, 0.1, "1000001")


def test_ingest_orders_repeat_keeps_one_row(tmp_path: Path) -> None:
    lakehouse = local_lakehouse(tmp_path)
    folder = tmp_path / "evidence" / "executions"
    folder.mkdir(parents=True)
    (folder / "2024-01-08.jsonl").write_text(json.dumps(ORDER) + "\n")
    for _ in range(2):
        evidence.ingest_orders(lakehouse, tmp_path, [date(2024, 1, 8), date(2024, 1, 9)])
    assert evidence.ingest_signals(lakehouse, tmp_path, [date(2024, 1, 8)]) == []
    assert lakehouse.frame("evidence.orders")["ticket"].to_list() == [5]


def test_read_lines_line_without_its_end_is_left_out() -> None:
    assert evidence.read_lines(b'{"a":1}\n\n{"a":2}\n{"a":') == [{"a": 1}, {"a": 2}]
