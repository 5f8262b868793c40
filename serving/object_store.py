"""The object store as the service needs it: list and read, never write."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from serving.settings import ServiceSecrets, ServiceSettings


class ObjectMissingError(LookupError):
    """There is no such object."""


class ObjectTooLargeError(ValueError):
    """An object is larger than the caller allows."""


class ObjectStore(ABC):
    """Objects by key."""

    @abstractmethod
    def list(self, prefix: str) -> Mapping[str, str]:
        """Return key → mark of all objects under a prefix; an object that was written again has another mark."""

    @abstractmethod
    def get(self, key: str, limit: int) -> bytes:
        """Return an object of at most `limit` bytes; `ObjectMissingError`, `ObjectTooLargeError`."""


class S3ObjectStore(ObjectStore):
    """One bucket of any S3 server."""

    def __init__(self, client: Any, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def list(self, prefix: str) -> Mapping[str, str]:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
        return {item["Key"]: _mark_of(item) for page in pages for item in page.get("Contents", [])}

    def get(self, key: str, limit: int) -> bytes:
        try:
            answer = self._client.get_object(Bucket=self._bucket, Key=key)
        except self._client.exceptions.NoSuchKey:
            raise ObjectMissingError(f"Expected the object {key}, found none.") from None
        with answer["Body"] as body:
            content: bytes = body.read(limit + 1)
        if len(content) > limit:
            raise ObjectTooLargeError(f"Expected at most {limit} bytes in {key}, was more.")
        return content


def _mark_of(item: Mapping[str, Any]) -> str:
    """Return ETag, time and size: not every server keeps an ETag that tells two contents apart."""
    return f"{item.get('ETag', '')}|{item.get('LastModified', '')}|{item.get('Size', '')}"


class InMemoryObjectStore(ObjectStore):
    """A dictionary of objects; the fake for tests."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.is_down = False

    def put(self, key: str, content: bytes) -> None:
        """Store an object."""
        self.objects[key] = content

    def list(self, prefix: str) -> Mapping[str, str]:
        self._check_up()
        return {key: hashlib.md5(content).hexdigest() for key, content in sorted(self.objects.items()) if key.startswith(prefix)}

    def get(self, key: str, limit: int) -> bytes:
        self._check_up()
        if key not in self.objects:
            raise ObjectMissingError(f"Expected the object {key}, found none.")
        if len(self.objects[key]) > limit:
            raise ObjectTooLargeError(f"Expected at most {limit} bytes in {key}, was more.")
        return self.objects[key]

    def _check_up(self) -> None:
        if self.is_down:
            raise ConnectionError("The object store is down.")


def connect_object_store(settings: ServiceSettings, secrets: ServiceSecrets) -> S3ObjectStore:
    """Return the configured bucket; no request is made yet."""
    import boto3
    from botocore.config import Config

    client = boto3.client(
        "s3",
        endpoint_url=settings.s3_address,
        region_name=settings.s3_region,
        aws_access_key_id=secrets.s3_access_key,
        aws_secret_access_key=secrets.s3_secret_key.get_secret_value(),
        config=Config(connect_timeout=3, read_timeout=10, retries={"max_attempts": 2}, s3={"addressing_style": "path"}),
    )
    return S3ObjectStore(client, settings.s3_bucket)
