"""The S3 bucket, thinly: bytes under keys with metadata.

What belongs here: put, get, head, list, with retries by the client; large objects in parts. What must not: what the objects mean.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import boto3
from boto3.s3.transfer import TransferConfig, create_transfer_manager
from botocore.client import Config
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from tick_assets.settings import Settings

_ABSENT = frozenset({"404", "NoSuchKey", "NotFound"})
_PRECONDITION = frozenset({"412", "PreconditionFailed", "409", "ConditionalRequestConflict"})
_ATTEMPTS = 6
_CHUNK = 1024 * 1024


class Readable(Protocol):
    """What can be read once, from its beginning to its end."""

    def read(self, amount: int = -1, /) -> bytes: ...


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
    def from_settings(cls, settings: Settings, attempts: int = _ATTEMPTS) -> ObjectStore:
        """Return the configured bucket, whose client tries each call so often; the secrets must exist."""
        config = Config(
            s3={"addressing_style": "path"},
            retries={"total_max_attempts": attempts, "mode": "standard"},
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

    def put_stream(self, key: str, stream: Readable, size: int, *, metadata: dict[str, str], content_type: str, part_bytes: int) -> None:
        """Write an object from a stream with no more than about one part in memory.

        What is larger than a part goes up in parts, one after the other. An error of the stream, at its end too, leaves no object: the
        parts are aborted. Parts that a killed writer left at this key are removed first.
        """
        if size <= part_bytes:
            self.put_bytes(key, stream.read(), metadata=metadata, content_type=content_type)
            return
        self.abort_uploads(key)
        config = TransferConfig(multipart_threshold=part_bytes, multipart_chunksize=part_bytes, use_threads=False)
        arguments = {"Metadata": metadata, "ContentType": content_type}
        with create_transfer_manager(self.client, config) as transfers:
            transfers.upload(stream, self.bucket, key, extra_args=arguments).result()

    def abort_uploads(self, key: str) -> int:
        """Remove the parts of unfinished uploads to a key, and return how many uploads there were."""
        found = self.client.list_multipart_uploads(Bucket=self.bucket, Prefix=key).get("Uploads", [])
        uploads = [upload["UploadId"] for upload in found if upload["Key"] == key]
        for upload in uploads:
            self.client.abort_multipart_upload(Bucket=self.bucket, Key=key, UploadId=upload)
        return len(uploads)

    def sha256(self, key: str) -> str:
        """Return the SHA-256 of an object's bytes, read in pieces; an absent key is a `FileNotFoundError`."""
        body, digest = self._body(key), hashlib.sha256()
        while content := body.read(_CHUNK):
            digest.update(content)
        return digest.hexdigest()

    def get_bytes(self, key: str) -> bytes:
        """Return an object's bytes; an absent key is a `FileNotFoundError`."""
        content: bytes = self._body(key).read()
        return content

    def _body(self, key: str) -> Any:
        try:
            return self.client.get_object(Bucket=self.bucket, Key=key)["Body"]
        except ClientError as error:
            if _code(error) in _ABSENT:
                raise FileNotFoundError(f"Expected an object s3://{self.bucket}/{key}, was none.") from error
            raise

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
