"""Which model files are trusted, and why: the checks between a bundle's bytes and a model that answers.

The order matters (each step protects the next): sizes, passport signature and chain, identity, model hash, verdict, features, a parse
in a throw-away process, the predictor against the Booster, the golden vectors. What must not live here: where bytes come from, or when
to look.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from serving.model_probe import ModelProbe
from serving.object_store import ObjectMissingError, ObjectStore, ObjectTooLargeError
from serving.predictor import Predictor, PredictorError, open_predictor
from serving.served_model import ServedModel
from tick_assets.domain import passports
from tick_assets.domain.kernel import feature_names
from tick_assets.domain.sampling import DEFAULT_SAMPLING, Sampling
from tick_assets.domain.signals import Strategy

GOLDEN_TOLERANCE = 1e-6
_SMALL_FILE_BYTES = 8 * 1024 * 1024
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


class BundleRefusedError(Exception):
    """A bundle is not trusted; `code` says which check refused it."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


@dataclass(frozen=True)
class BundleAddress:
    """Where a bundle lies, and what its model must be. An empty `sha256` (a candidate named by hand) is not compared."""

    symbol: str
    strategy: str
    version: str
    sha256: str = ""

    def key(self, name: str) -> str:
        return f"models/{self.symbol}/{self.strategy}/{self.version}/{name}"


@dataclass(frozen=True)
class BundleBytes:
    """The three files of a bundle."""

    model: bytes
    passport: bytes
    golden: bytes


def parse_pointer(content: bytes, symbol: str, strategy: str) -> BundleAddress:
    """Return the bundle that `champion.json` or `shadow.json` names."""
    pointer = _parse_json(content, "POINTER_MALFORMED", "pointer")
    version, sha256 = pointer.get("version"), pointer.get("sha256")
    if not isinstance(version, str) or not isinstance(sha256, str) or not is_plain_name(version):
        raise BundleRefusedError("POINTER_MALFORMED", "Expected a pointer with a plain version and a sha256. Deploy the model again.")
    return BundleAddress(symbol, strategy, version, sha256)


def is_plain_name(text: str) -> bool:
    """Tell whether a text is a name and no path."""
    return _NAME.fullmatch(text) is not None and ".." not in text


def read_bundle(store: ObjectStore, address: BundleAddress, model_limit: int) -> BundleBytes:
    """Read the three files, none larger than its limit."""
    try:
        return BundleBytes(
            store.get(address.key("model.json"), model_limit),
            store.get(address.key("passport.json"), _SMALL_FILE_BYTES),
            store.get(address.key("golden.json"), _SMALL_FILE_BYTES),
        )
    except ObjectMissingError as error:
        raise BundleRefusedError("BUNDLE_INCOMPLETE", str(error)) from None
    except ObjectTooLargeError as error:
        raise BundleRefusedError("FILE_TOO_LARGE", str(error)) from None


def open_bundle(
    address: BundleAddress,
    files: BundleBytes,
    public_key: bytes,
    probe: ModelProbe,
    *,
    must_have_passed: bool,
    loaded_at_us: int,
    sampling: Sampling = DEFAULT_SAMPLING,
) -> ServedModel:
    """Return the model of a bundle that passes every check, or raise `BundleRefusedError`.

    `sampling` is the one by which the service samples the symbol: a model of another clock would be asked at the wrong moments, and one of
    another feature set about other things.
    """
    passport = _parse_json(files.passport, "PASSPORT_MALFORMED", "passport")
    payload = _verified_payload(passport, public_key)
    _check_identity(address, payload)
    _check_model_hash(address, payload, files.model)
    if must_have_passed:
        _check_verdict(payload)
    names = _checked_features(payload, sampling)
    low, high = _ranges_of(payload, names)
    reason = probe.check(files.model)
    if reason:
        raise BundleRefusedError("MODEL_UNPARSABLE", f"Expected a model that parses in a child process: {reason}.")
    predictor = _open_predictor(files.model)
    _check_golden(predictor, files.golden, len(names))
    return ServedModel(
        symbol=address.symbol,
        strategy=_strategy_of(payload),
        version=address.version,
        model_id=str(payload["model_id"]),
        sha256=str(payload["model_sha256"]),
        passport_id=str(passport["passport_id"]),
        is_synthetic=bool(payload["is_synthetic"]),
        low=low,
        high=high,
        predictor=predictor,
        passport=passport,
        loaded_at_us=loaded_at_us,
    )


def _verified_payload(passport: Mapping[str, Any], public_key: bytes) -> Mapping[str, Any]:
    try:
        return passports.verify(passport, public_key)
    except passports.PassportError as error:
        raise BundleRefusedError("PASSPORT_REFUSED", str(error)) from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:  # the passport's shape is not ours to trust
        raise BundleRefusedError("PASSPORT_MALFORMED", f"Expected a well-formed passport: {error!r}.") from error


def _check_identity(address: BundleAddress, payload: Mapping[str, Any]) -> None:
    expected = (address.symbol, address.strategy, address.version, f"{address.symbol}.{address.strategy}@{address.version}")
    strategy = payload.get("strategy")
    name = strategy.get("name") if isinstance(strategy, Mapping) else None
    was = (payload.get("symbol"), name, payload.get("version"), payload.get("model_id"))
    if was != expected:
        raise BundleRefusedError("IDENTITY_MISMATCH", f"Expected a passport of {expected}, was {was}.")


def _check_model_hash(address: BundleAddress, payload: Mapping[str, Any], model: bytes) -> None:
    digest = hashlib.sha256(model).hexdigest()
    if payload.get("model_sha256") != digest:
        raise BundleRefusedError("MODEL_HASH_MISMATCH", f"Expected model bytes of sha-256 {payload.get('model_sha256')}, was {digest}.")
    if address.sha256 and address.sha256 != digest:
        raise BundleRefusedError("MODEL_HASH_MISMATCH", f"Expected the pointer to name {digest}, was {address.sha256}.")


def _check_verdict(payload: Mapping[str, Any]) -> None:
    verdict = payload.get("verdict")
    if not isinstance(verdict, Mapping) or verdict.get("passed") is not True:
        raise BundleRefusedError("VERDICT_NOT_PASSED", "Expected a passport whose verdict is a pass. Only such a model goes live.")


def _checked_features(payload: Mapping[str, Any], sampling: Sampling) -> tuple[str, ...]:
    """Return the names of the model's features, which must be those of the symbol's set, in order."""
    names = feature_names(sampling.feature_set)
    was = (payload.get("feature_set"), payload.get("sampling_clock"), tuple(payload.get("features") or ()))
    if was != (sampling.feature_set, sampling.clock, names):
        raise BundleRefusedError(
            "FEATURES_MISMATCH",
            f"Expected the features of {sampling.feature_set} at {sampling.clock}, was {was[:2]} and {len(was[2])} names.",
        )
    return names


def _ranges_of(
    payload: Mapping[str, Any], names: Sequence[str]
) -> tuple[np.ndarray[Any, np.dtype[np.float64]], np.ndarray[Any, np.dtype[np.float64]]]:
    try:
        pairs = np.array([payload["feature_ranges"][name] for name in names], np.float64).reshape(len(names), 2)
    except (KeyError, TypeError, ValueError) as error:
        raise BundleRefusedError("FEATURES_MISMATCH", f"Expected a range for each feature: {error!r}.") from error
    return pairs[:, 0].copy(), pairs[:, 1].copy()


def _strategy_of(payload: Mapping[str, Any]) -> Strategy:
    try:
        return Strategy(**payload["strategy"])
    except TypeError as error:
        raise BundleRefusedError("PASSPORT_MALFORMED", f"Expected the parameters of a strategy: {error}.") from error


def _open_predictor(model: bytes) -> Predictor:
    try:
        return open_predictor(model)
    except PredictorError as error:
        raise BundleRefusedError("PREDICTOR_MISMATCH", str(error)) from error


def _check_golden(predictor: Predictor, content: bytes, width: int) -> None:
    golden = _parse_json(content, "GOLDEN_MALFORMED", "golden vectors")
    try:
        rows = np.array(golden["rows"], np.float64).reshape(-1, width)
        expected = np.array(golden["probabilities"], np.float64)
        was = predictor.predict(rows)
    except (KeyError, TypeError, ValueError) as error:
        raise BundleRefusedError("GOLDEN_MALFORMED", f"Expected rows and probabilities: {error!r}.") from error
    if len(rows) == 0 or was.shape != expected.shape or not np.all(np.abs(was - expected) <= GOLDEN_TOLERANCE):
        raise BundleRefusedError(
            "GOLDEN_MISMATCH", f"Expected the golden probabilities within {GOLDEN_TOLERANCE}. The model predicts otherwise."
        )


def _parse_json(content: bytes, code: str, what: str) -> Mapping[str, Any]:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise BundleRefusedError(code, f"Expected the {what} as JSON: {error}.") from None
    if not isinstance(document, dict):
        raise BundleRefusedError(code, f"Expected the {what} as a JSON object.")
    return document
