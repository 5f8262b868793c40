"""A bundle's sampling clock and feature set must be those by which the service samples the symbol."""

from __future__ import annotations

import pytest

from serving.model_bundle import BundleAddress, BundleBytes, BundleRefusedError, open_bundle
from serving.object_store import InMemoryObjectStore
from serving.served_model import ServedModel
from serving.testing import SYMBOL, BundleSpec, TrustingProbe, open_shop
from tick_assets.domain.sampling import Sampling


def opened(stated: str, sampled_by: str) -> ServedModel:
    """Open a bundle whose passport states one clock in a service that samples by another."""
    return open_in(BundleSpec(payload={"sampling_clock": stated}), Sampling(sampled_by))


def open_in(spec: BundleSpec, sampling: Sampling) -> ServedModel:
    """Open a bundle in a service that samples the symbol so."""
    shop = open_shop(InMemoryObjectStore())
    files = shop.files(spec)
    content = BundleBytes(files["model.json"], files["passport.json"], files["golden.json"])
    address = BundleAddress(SYMBOL, "direction", "v1")
    return open_bundle(address, content, shop.public_key, TrustingProbe(), must_have_passed=True, loaded_at_us=0, sampling=sampling)


def test_bundle_of_the_symbol_s_clock_opens() -> None:
    assert opened("ticks_30", "ticks_30").version == "v1"


def test_bundle_of_another_clock_is_refused() -> None:
    with pytest.raises(BundleRefusedError, match="base_v1 at ticks_30, was"):
        opened("time_60s", "ticks_30")


def test_bundle_of_the_symbol_s_feature_set_opens_with_a_range_for_each_feature() -> None:
    assert len(open_in(BundleSpec(feature_set="micro_v1"), Sampling(features="micro_v1")).low) == 26


@pytest.mark.parametrize(
    ("spec", "sampling", "message"),
    [
        (BundleSpec(feature_set="micro_v1"), Sampling(), r"base_v1 at time_60s, was \('micro_v1'"),
        (BundleSpec(), Sampling(features="micro_v1"), r"micro_v1 at time_60s, was \('base_v1', 'time_60s'\) and 19 names"),
        (BundleSpec(payload={"feature_set": "micro_v1"}), Sampling(features="micro_v1"), "and 19 names"),
        (BundleSpec(), Sampling(leader="GBPUSD"), "lead_v1 at time_60s, was"),
    ],
)
def test_bundle_of_another_feature_set_is_refused(spec: BundleSpec, sampling: Sampling, message: str) -> None:
    with pytest.raises(BundleRefusedError, match=message):
        open_in(spec, sampling)
