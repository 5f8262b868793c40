"""Which models answer right now: pulls pointers and bundles, swaps whole, keeps the old model when the new one is refused.

What belongs here: when to look and what to hold. What must not: which bundle is trusted (`model_bundle`), HTTP.
`refresh` and `open_candidate` block on the network and a child process: call them from a worker thread. `slots` is for the event loop:
the table it reads is replaced, never changed.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from serving.clock import Clock
from serving.metrics import Metrics
from serving.model_bundle import BundleAddress, BundleRefusedError, is_plain_name, open_bundle, parse_pointer, read_bundle
from serving.model_probe import ModelProbe
from serving.object_store import ObjectMissingError, ObjectStore, ObjectTooLargeError
from serving.served_model import LIVE, SHADOW, ModelSlot, ServedModel
from tick_assets.domain import passports
from tick_assets.domain.instruments import Market

_LOG = logging.getLogger("serving")
_POINTERS = {"champion.json": LIVE, "shadow.json": SHADOW}
_POINTER_BYTES = 64 * 1024
_CURABLE = frozenset({"BUNDLE_INCOMPLETE", "PUBLIC_KEY_MISSING"})
"""Refusals that time may cure: looked at again at every pull, although the pointer stands still."""
VERDICT_INDEX = "verdicts/index.json"

SlotKey = tuple[str, str, str]
"""(symbol, strategy, mode)."""


@dataclass(frozen=True)
class RefusedBundle:
    """The last bundle of a slot that was refused."""

    version: str
    code: str
    detail: str
    refused_at_us: int


class ModelStore:
    """The models of the service."""

    def __init__(
        self,
        store: ObjectStore,
        probe: ModelProbe,
        public_key_file: Path,
        clock: Clock,
        metrics: Metrics,
        model_limit: int,
        market: Market,
    ) -> None:
        self._store = store
        self._probe = probe
        self._public_key_file = public_key_file
        self._clock = clock
        self._metrics = metrics
        self._model_limit = model_limit
        self._market = market
        self._lock = threading.Lock()
        self._etags: dict[SlotKey, str] = {}
        self._models: Mapping[SlotKey, ServedModel] = {}
        self._by_symbol: Mapping[str, tuple[ModelSlot, ...]] = {}
        self._refused: Mapping[SlotKey, RefusedBundle] = {}
        self.pulled_at_us: int | None = None
        self.pull_fault: str = ""

    def slots(self, symbol: str) -> tuple[ModelSlot, ...]:
        """Return the models that speak about a symbol, live ones first."""
        return self._by_symbol.get(symbol, ())

    @property
    def models(self) -> Mapping[SlotKey, ServedModel]:
        return self._models

    @property
    def refused(self) -> Mapping[SlotKey, RefusedBundle]:
        return self._refused

    def refresh(self, symbol: str | None = None, strategy: str | None = None) -> None:
        """Look at the pointers; `symbol` and `strategy` name one whose bundle is read again even if its pointer stands still."""
        with self._lock:
            try:
                self._refresh(symbol, strategy)
            except Exception as error:  # the boundary to the network: the models that answer stay
                self.pull_fault = f"{type(error).__name__}: {error}"[:300]
                self._metrics.pull_faults.inc()
                _LOG.warning("event=pull_failed error=%s", self.pull_fault)
                raise
            self.pull_fault = ""
            self.pulled_at_us = self._clock.now_us()

    def open_candidate(self, symbol: str, strategy: str, version: str) -> ServedModel:
        """Open a bundle by its version for a replay; its verdict may be anything, everything else is checked."""
        if not (is_plain_name(symbol) and is_plain_name(strategy) and is_plain_name(version)):
            raise BundleRefusedError("POINTER_MALFORMED", "Expected plain names of symbol, strategy and version.")
        with self._lock:
            return self._open(BundleAddress(symbol, strategy, version), must_have_passed=False)

    def read_verdict_index(self) -> Any:
        """Return the pipeline's index of verdicts, or None when there is none."""
        try:
            return orjson.loads(self._store.get(VERDICT_INDEX, 8 * 1024 * 1024))
        except (ObjectMissingError, ObjectTooLargeError, orjson.JSONDecodeError):
            return None

    def _refresh(self, symbol: str | None, strategy: str | None) -> None:
        found = {slot: (key, etag) for key, etag in self._store.list("models/").items() if (slot := _slot_of(key)) is not None}
        for slot in [slot for slot in self._models if slot not in found]:
            self._install(slot, None)
        for slot in [slot for slot in self._refused if slot not in found]:
            self._note_refusal(slot, None)
        for slot, (key, etag) in found.items():
            is_named = slot[0] == symbol and strategy in (None, slot[1])
            if is_named or self._etags.get(slot) != etag:
                self._pull(slot, key, etag)

    def _pull(self, slot: SlotKey, key: str, etag: str) -> None:
        symbol, strategy, mode = slot
        version = ""
        try:
            address = parse_pointer(self._store.get(key, _POINTER_BYTES), symbol, strategy)
            version = address.version
            model = self._open(address, must_have_passed=mode == LIVE)
        except ObjectTooLargeError as error:
            self._refuse(slot, version, BundleRefusedError("POINTER_MALFORMED", str(error)))
        except BundleRefusedError as error:
            self._refuse(slot, version, error)
            if error.code in _CURABLE:
                return
        else:
            self._install(slot, model)
            self._note_refusal(slot, None)
        self._etags[slot] = etag

    def _open(self, address: BundleAddress, *, must_have_passed: bool) -> ServedModel:
        files = read_bundle(self._store, address, self._model_limit)
        return open_bundle(
            address,
            files,
            self._read_public_key(),
            self._probe,
            must_have_passed=must_have_passed,
            loaded_at_us=self._clock.now_us(),
            sampling=self._market.sampling_of(address.symbol),
        )

    def _read_public_key(self) -> bytes:
        try:
            return passports.decode_key(self._public_key_file.read_text())
        except (OSError, ValueError) as error:
            raise BundleRefusedError(
                "PUBLIC_KEY_MISSING", f"Expected the pipeline's public key in {self._public_key_file}: {error}."
            ) from error

    def _refuse(self, slot: SlotKey, version: str, error: BundleRefusedError) -> None:
        _LOG.error("event=bundle_refused slot=%s version=%s reason_code=%s detail=%s", ".".join(slot), version, error.code, error)
        self._metrics.bundles_refused.labels(error.code).inc()
        self._note_refusal(slot, RefusedBundle(version, error.code, str(error)[:500], self._clock.now_us()))

    def _note_refusal(self, slot: SlotKey, refusal: RefusedBundle | None) -> None:
        kept = {key: value for key, value in self._refused.items() if key != slot}
        self._refused = {**kept, slot: refusal} if refusal else kept

    def _install(self, slot: SlotKey, model: ServedModel | None) -> None:
        kept = {key: value for key, value in self._models.items() if key != slot}
        models = {**kept, slot: model} if model else kept
        by_symbol: dict[str, tuple[ModelSlot, ...]] = {}
        for (symbol, _, mode), served in sorted(models.items(), key=lambda item: (item[0][0], item[0][2] != LIVE, item[0][1])):
            by_symbol[symbol] = (*by_symbol.get(symbol, ()), ModelSlot(mode, served))
        self._models, self._by_symbol = models, by_symbol
        if not model:
            self._etags.pop(slot, None)
        self._metrics.models.set(len(models))
        self._metrics.swaps.inc()
        _LOG.info("event=model_swapped slot=%s sha256=%s", ".".join(slot), model.sha256 if model else None)


def _slot_of(key: str) -> SlotKey | None:
    parts = key.split("/")
    if len(parts) != 4 or parts[3] not in _POINTERS or not is_plain_name(parts[1]) or not is_plain_name(parts[2]):
        return None
    return parts[1], parts[2], _POINTERS[parts[3]]
