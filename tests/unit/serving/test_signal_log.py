"""The bounded memory of signals."""

from __future__ import annotations

from typing import Any

from serving.signal_log import STREAM_QUEUE, SignalLog


def document(number: int, symbol: str = "EURUSD") -> dict[str, Any]:
    return {"signal_id": f"s{number}", "symbol": symbol, "issued_at": f"2026-03-04T08:00:{number:02d}.000000Z"}


def ids(documents: list[dict[str, Any]]) -> list[str]:
    return [found["signal_id"] for found in documents]


def test_log_keeps_each_signal_once_and_forgets_the_oldest() -> None:
    log = SignalLog(3)
    assert len(log.add([document(1), document(1), document(2)])) == 2
    log.add([document(3), document(4)])
    assert ids(log.after(None, None, 10)) == ["s2", "s3", "s4"]
    assert "s1" not in log


def test_after_takes_an_id_a_time_and_a_symbol() -> None:
    log = SignalLog(3)
    log.add([document(1), document(2, "GBPUSD"), document(3), document(4)])
    assert ids(log.after("s3", None, 10)) == ["s4"]
    assert ids(log.after("2026-03-04T08:00:02.500000Z", None, 10)) == ["s3", "s4"]
    assert ids(log.after(None, "GBPUSD", 10)) == ["s2"]
    assert ids(log.after("forgotten", None, 2)) == ["s2", "s3"]


def test_stream_that_does_not_keep_up_is_ended() -> None:
    log = SignalLog(10)
    queue = log.listen()
    log.publish([document(1)] * (STREAM_QUEUE + 5))
    assert queue.qsize() == STREAM_QUEUE + 1
    assert [queue.get_nowait() for _ in range(queue.qsize())][-1] is None
