"""A bundle's sampling clock must be the one by which the service samples the symbol."""

from __future__ import annotations

import pytest

from serving.model_bundle import BundleAddress, BundleBytes, BundleRefusedError, open_bundle
from serving.object_store import InMemoryObjectStore
from serving.served_model import ServedModel
from serving.testing import SYMBOL, BundleSpec, TrustingProbe, open_shop


def opened(stated: str, sampled_by: str) -> ServedModel:
    """Open a bundle whose passport states one clock in a service that samples by another."""
    shop = open_shop(InMemoryObjectStore())
    files = shop.files(BundleSpec(payload={"sampling_clock": stated}))
    content = BundleBytes(files["model.json"], files["passport.json"], files["golden.json"])
    address = BundleAddress(SYMBOL, "direction", "v1")
    return open_bundle(address, content, shop.public_key, TrustingProbe(), must_have_passed=True, loaded_at_us=0, sampling_clock=sampled_by)


def test_bundle_of_the_symbol_s_clock_opens() -> None:
    assert opened("ticks_30", "ticks_30").version == "v1"


def test_bundle_of_another_clock_is_refused() -> None:
    with pytest.raises(BundleRefusedError, match="base_v1 at ticks_30, was"):
        opened("time_60s", "ticks_30")
