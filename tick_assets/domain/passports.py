"""Passports: canonical JSON, the hash chain from raw manifest to model bytes, and its ed25519 signature.

What belongs here: pure functions over dictionaries and bytes. What must not: reading keys or files, talking to S3 or MLflow.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

SCHEMA = 1
CHAIN_NAMES = ("raw_manifests", "dataset", "code_commit", "mlflow_run", "verdict", "model")
"""The links of a chain, in the order in which the road makes them."""


class PassportError(ValueError):
    """A passport is malformed, its chain is broken or its signature is not ours."""


@dataclass(frozen=True)
class ChainLink:
    """One step of the road: its name, the sha-256 of what it made and the digest of the link before it."""

    name: str
    sha256: str
    prev: str

    def digest(self) -> str:
        """Return the digest that the next link carries as `prev`."""
        return sha256_hex(f"{self.prev}|{self.name}|{self.sha256}".encode())


def sha256_hex(data: bytes) -> str:
    """Return the sha-256 of bytes in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def canonical_json(value: Any) -> bytes:
    """Encode as JSON with sorted keys, no spaces, UTF-8; NaN and infinities are a `ValueError`, tuples are lists."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def finite(value: Any) -> Any:
    """Return the value with every NaN and infinity in it replaced by None, so that it has a canonical form."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    return value


def passport_id(payload: Mapping[str, Any]) -> str:
    """Return the id of a passport: the sha-256 of its canonical payload."""
    return sha256_hex(canonical_json(payload))


def build_chain(parts: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    """Chain (name, sha256) pairs: each link carries the digest of the one before it, the first an empty string."""
    links: list[ChainLink] = []
    for name, digest in parts:
        links.append(ChainLink(name, digest, links[-1].digest() if links else ""))
    return [{"name": link.name, "sha256": link.sha256, "prev": link.prev} for link in links]


def model_chain(
    *,
    raw_manifests: Any,
    dataset_id: str,
    code_commit: str,
    mlflow_run_id: str,
    verdict: Any,
    model_sha256: str,
) -> list[dict[str, str]]:
    """Build the chain of one model; values that are no sha-256 themselves enter as the hash of their canonical JSON."""
    return build_chain(
        zip(
            CHAIN_NAMES,
            (
                sha256_hex(canonical_json(raw_manifests)),
                dataset_id,
                sha256_hex(code_commit.encode()),
                sha256_hex(mlflow_run_id.encode()),
                sha256_hex(canonical_json(verdict)),
                model_sha256,
            ),
            strict=True,
        )
    )


def check_chain(chain: Iterable[Mapping[str, str]]) -> None:
    """Raise `PassportError` where a link does not carry the digest of the one before it."""
    expected = ""
    for entry in chain:
        link = ChainLink(entry["name"], entry["sha256"], entry["prev"])
        if link.prev != expected:
            raise PassportError(f"Expected link {link.name!r} to follow {expected!r}, was {link.prev!r}. The passport was altered.")
        expected = link.digest()


def check_payload(payload: Mapping[str, Any]) -> None:
    """Raise `PassportError` when the chain is broken, incomplete or states other facts than the payload."""
    chain = payload.get("chain") or []
    check_chain(chain)
    names = tuple(entry["name"] for entry in chain)
    if names != CHAIN_NAMES:
        raise PassportError(
            f"Expected the links {CHAIN_NAMES}, was {names}. Build the chain with `model_chain` and deploy the model again."
        )
    for entry, expected in zip(chain, _chain_of(payload), strict=True):
        if entry["sha256"] != expected["sha256"]:
            raise PassportError(
                f"Expected link {entry['name']!r} to be {expected['sha256']}, was {entry['sha256']}. The passport was altered."
            )


def _chain_of(payload: Mapping[str, Any]) -> list[dict[str, str]]:
    return model_chain(
        raw_manifests=payload["raw_manifests"],
        dataset_id=payload["dataset_id"],
        code_commit=payload["code_commit"],
        mlflow_run_id=payload["mlflow_run_id"],
        verdict=payload["verdict"],
        model_sha256=payload["model_sha256"],
    )


def sign(payload: Mapping[str, Any], private_key: bytes) -> dict[str, Any]:
    """Return the passport document of a payload, signed with an ed25519 private key (32 raw bytes)."""
    key = Ed25519PrivateKey.from_private_bytes(private_key)
    signature = key.sign(canonical_json(payload))
    return {
        "schema": SCHEMA,
        "passport_id": passport_id(payload),
        "payload": dict(payload),
        "signature": base64.b64encode(signature).decode(),
    }


def verify(passport: Mapping[str, Any], public_key: bytes) -> dict[str, Any]:
    """Return the payload when schema, id, chain and signature hold (public key: 32 raw bytes); else `PassportError`."""
    payload = passport.get("payload")
    if passport.get("schema") != SCHEMA or not isinstance(payload, Mapping):
        raise PassportError(f"Expected a passport of schema {SCHEMA}, was {passport.get('schema')!r}. Deploy the model again.")
    try:
        signature = base64.b64decode(str(passport.get("signature", "")), validate=True)
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, canonical_json(payload))
    except (InvalidSignature, binascii.Error) as error:
        raise PassportError("Expected a signature by the pipeline's key, was another. Check keys/passport_ed25519.pub.") from error
    if passport.get("passport_id") != passport_id(payload):
        raise PassportError(f"Expected passport id {passport_id(payload)}, was {passport.get('passport_id')}. The passport was altered.")
    _check_facts(payload)
    return dict(payload)


def _check_facts(payload: Mapping[str, Any]) -> None:
    try:
        check_payload(payload)
    except KeyError as error:
        raise PassportError(f"Expected the fact {error} in the passport, was none. Deploy the model again.") from error


def new_key_pair() -> tuple[bytes, bytes]:
    """Make an ed25519 key pair: (private, public), 32 raw bytes each."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
    return private, key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def decode_key(text: str) -> bytes:
    """Decode a key file's base64 text into 32 raw bytes."""
    try:
        raw = base64.b64decode(text.strip(), validate=True)
    except binascii.Error as error:
        raise PassportError("Expected a base64 key of 32 bytes, was other text. Remove the key files and run `tick up`.") from error
    if len(raw) != 32:
        raise PassportError(f"Expected a key of 32 bytes, was {len(raw)}. Remove the key files and run `tick up`.")
    return raw
