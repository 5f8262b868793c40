"""What Prometheus sees. One registry per application, so that two applications in one process do not share counts."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0)


class Metrics:
    """The service's counters."""

    def __init__(self) -> None:
        registry = CollectorRegistry()
        self._registry = registry
        self.ticks = Counter("tick_ticks_accepted", "Ticks accepted", ["symbol", "mode"], registry=registry)
        self.ticks_refused = Counter("tick_ticks_refused", "Ticks refused", ["symbol", "reason_code"], registry=registry)
        self.signals = Counter("tick_signals", "Signals issued", ["symbol", "action", "mode"], registry=registry)
        self.signal_reasons = Counter("tick_signal_reasons", "Reasons against opening", ["reason_code"], registry=registry)
        self.executions = Counter("tick_executions", "Order events taken", registry=registry)
        self.take_seconds = Histogram("tick_take_seconds", "Seconds from body to signals", buckets=_SECONDS, registry=registry)
        self.bundles_refused = Counter("tick_bundles_refused", "Model bundles refused", ["reason_code"], registry=registry)
        self.models = Gauge("tick_models", "Models that answer", registry=registry)
        self.swaps = Counter("tick_model_swaps", "Model slots replaced or emptied", registry=registry)
        self.pull_faults = Counter("tick_pull_faults", "Looks at the object store that failed", registry=registry)
        self.streams = Gauge("tick_streams", "Open WebSocket streams", registry=registry)

    def text(self) -> bytes:
        """Return the exposition format."""
        return generate_latest(self._registry)
