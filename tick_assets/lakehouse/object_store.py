"""The S3 bucket, thinly: bytes under keys with metadata.

What belongs here: put, get, head, list, with retries by the client. What must not: what the objects mean.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.client import Config
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from tick_assets.settings import Settings

_ABSENT = frozenset({"404", "NoSuchKey", "NotFound"})
_PRECONDITION = frozenset({"412", "PreconditionFailed", "409", "ConditionalRequestConflict"})
_ATTEMPTS = 6


class ObjectExistsError(RuntimeError):
    """A write-once key is taken."""


@dataclass(frozen=True)
class ObjectHead:
    """What a store says of one object without its bytes."""

    key: str
    bytes: int
    metadata: dict[str, str]


class ObjectStore:
    """One bucket of an S3 server; path-style addresses, so that any server will do."""

    def __init__(self, client: Any, bucket: str) -> None:
        self.client = client
        self.bucket = bucket

    @classmethod
    def from_settings(cls, settings: Settings) -> ObjectStore:
        """Return the configured bucket; the secrets must exist."""
        config = Config(
            s3={"addressing_style": "path"},
            retries={"max_attempts": _ATTEMPTS, "mode": "standard"},
            connect_timeout=5,
            read_timeout=60,
            max_pool_connections=16,
            # Servers other than AWS refuse or mangle the trailing checksums that newer clients send by default.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        client = boto3.client(
            "s3",
            endpoint_url=settings.s3_address,
            region_name=settings.s3_region,
            aws_access_key_id=settings.secrets.s3_access_key,
            aws_secret_access_key=settings.secrets.s3_secret_key.get_secret_value(),
            config=config,
        )
        return cls(client, settings.s3_bucket)

    def put_bytes(
        self,
        key: str,
        content: bytes,
        if_none_match: bool = False,
        *,
        metadata: dict[str, str] | None = None,
        content_type: str = "application/octet-stream",
    ) -> None:
        """Write an object; with `if_none_match` a taken key is an `ObjectExistsError` and stays as it is."""
        arguments: dict[str, Any] = {"IfNoneMatch": "*"} if if_none_match else {}
        try:
            self.client.put_object(
                Bucket=self.bucket, Key=key, Body=content, Metadata=metadata or {}, ContentType=content_type, **arguments
            )
        except ClientError as error:
            if if_none_match and _code(error) in _PRECONDITION:
                raise ObjectExistsError(f"Expected the key {key} to be free, was taken. Choose a new version.") from error
            raise

    def put_file(self, key: str, path: Path, *, metadata: dict[str, str] | None = None, if_none_match: bool = False) -> None:
        """Write a file's bytes; see `put_bytes`."""
        self.put_bytes(key, path.read_bytes(), metadata=metadata, if_none_match=if_none_match)

    def get_bytes(self, key: str) -> bytes:
        """Return an object's bytes; an absent key is a `FileNotFoundError`."""
        try:
            content: bytes = self.client.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        except ClientError as error:
            if _code(error) in _ABSENT:
                raise FileNotFoundError(f"Expected an object s3://{self.bucket}/{key}, was none.") from error
            raise
        return content

    def head(self, key: str) -> ObjectHead | None:
        """Return size and metadata, or none where no object is."""
        try:
            answer = self.client.head_object(Bucket=self.bucket, Key=key)
        except ClientError as error:
            if _code(error) in _ABSENT:
                return None
            raise
        return ObjectHead(key, int(answer["ContentLength"]), {name.lower(): value for name, value in answer.get("Metadata", {}).items()})

    def exists(self, key: str) -> bool:
        return self.head(key) is not None

    def list(self, prefix: str) -> Iterator[ObjectHead]:
        """Yield the objects under a prefix in key order, without their metadata."""
        for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix):
            for entry in page.get("Contents", []):
                yield ObjectHead(entry["Key"], int(entry["Size"]), {})

    def list_keys(self, prefix: str) -> Iterator[str]:
        """Yield the keys under a prefix, in order."""
        for head in self.list(prefix):
            yield head.key

    def delete(self, key: str) -> None:
        """Remove an object; an absent key is fine."""
        self.client.delete_object(Bucket=self.bucket, Key=key)


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
