"""A fake of the calls that the object store makes of a boto3 client, over a dictionary, with parts and with errors on request.

What belongs here: S3's answers. What must not: what is stored and why.
"""

from __future__ import annotations

import io
import itertools
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import ClientError


def error(code: str, status: int) -> ClientError:
    """Return what boto3 raises for an answer."""
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "PutObject")


def _nothing(*_: Any, **__: Any) -> None:
    return None


@dataclass
class FakeS3Client:
    """The objects by key; `before` is called with the name of each call and its key, and may raise or wait."""

    objects: dict[str, tuple[bytes, dict[str, str]]] = field(default_factory=dict)
    content_types: dict[str, str] = field(default_factory=dict)
    uploads: dict[str, tuple[str, dict[int, bytes], dict[str, Any]]] = field(default_factory=dict)
    before: Callable[[str, str], None] = _nothing
    calls: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    largest_body: int = 0
    ids: Any = field(default_factory=lambda: itertools.count(1))
    meta: Any = field(
        default_factory=lambda: SimpleNamespace(
            events=SimpleNamespace(register_first=_nothing, register_last=_nothing),
            config=SimpleNamespace(request_checksum_calculation="when_required"),
        )
    )

    def _called(self, call: str, key: str) -> None:
        self.calls[call] += 1
        self.before(call, key)

    def put_object(
        self, *, Key: str, Body: bytes, Metadata: dict[str, str], IfNoneMatch: str = "", ContentType: str = "", **_: Any
    ) -> None:
        self._called("put_object", Key)
        if IfNoneMatch and Key in self.objects:
            raise ClientError({"Error": {"Code": "PreconditionFailed"}}, "PutObject")
        self.largest_body = max(self.largest_body, len(Body))
        self.objects[Key], self.content_types[Key] = (Body, Metadata), ContentType

    def create_multipart_upload(self, *, Key: str, **arguments: Any) -> dict[str, str]:
        self._called("create_multipart_upload", Key)
        upload = f"upload-{next(self.ids)}"
        self.uploads[upload] = (Key, {}, arguments)
        return {"UploadId": upload}

    def upload_part(self, *, Key: str, UploadId: str, PartNumber: int, Body: Any, **_: Any) -> dict[str, str]:
        self._called("upload_part", Key)
        content = Body.read()
        self.largest_body = max(self.largest_body, len(content))
        self.uploads[UploadId][1][PartNumber] = content
        return {"ETag": f"{PartNumber}"}

    def complete_multipart_upload(self, *, Key: str, UploadId: str, **_: Any) -> None:
        self._called("complete_multipart_upload", Key)
        _, parts, arguments = self.uploads.pop(UploadId)
        self.objects[Key] = (b"".join(parts[number] for number in sorted(parts)), arguments["Metadata"])
        self.content_types[Key] = arguments["ContentType"]

    def abort_multipart_upload(self, *, Key: str, UploadId: str, **_: Any) -> None:
        self._called("abort_multipart_upload", Key)
        del self.uploads[UploadId]

    def list_multipart_uploads(self, *, Prefix: str, **_: Any) -> dict[str, Any]:
        return {"Uploads": [{"Key": key, "UploadId": name} for name, (key, _, _) in self.uploads.items() if key.startswith(Prefix)]}

    def _object(self, key: str) -> tuple[bytes, dict[str, str]]:
        if key not in self.objects:
            raise ClientError({"Error": {"Code": "404"}}, "HeadObject")
        return self.objects[key]

    def head_object(self, *, Key: str, **_: Any) -> dict[str, Any]:
        self._called("head_object", Key)
        body, metadata = self._object(Key)
        return {"ContentLength": len(body), "Metadata": metadata}

    def delete_object(self, *, Key: str, **_: Any) -> None:
        self._called("delete_object", Key)
        self.objects.pop(Key, None)

    def get_object(self, *, Key: str, **_: Any) -> dict[str, Any]:
        return {"Body": io.BytesIO(self._object(Key)[0])}

    def get_paginator(self, _: str) -> FakeS3Client:
        return self

    def paginate(self, *, Prefix: str, **_: Any) -> list[dict[str, Any]]:
        return [
            {"Contents": [{"Key": key, "Size": len(body)} for key, (body, _) in sorted(self.objects.items()) if key.startswith(Prefix)]}
        ]
