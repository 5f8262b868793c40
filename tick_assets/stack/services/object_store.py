"""S3Proxy: an S3 server over a folder of the state folder.

What belongs here: its properties, command line and the bucket. What must not: what lies in the bucket.
"""

from __future__ import annotations

import os
from pathlib import Path

from tick_assets.settings import Settings
from tick_assets.stack.secrets import write_private
from tick_assets.stack.service import Service, Site, answers_http


class ObjectStore(Service):
    """The S3 server."""

    name = "s3"
    port_setting = "s3_port"
    address_setting = "s3_endpoint"
    start_limit_s = 60.0
    memory_mb = 400

    def prepare(self, site: Site) -> None:
        objects_dir(site.settings).mkdir(parents=True, exist_ok=True)
        write_private(site.folder(self.name) / "s3proxy.properties", _properties(site.settings))

    def command(self, site: Site) -> list[str]:
        java = site.provisioned.java25_home / "bin" / "java"
        flags = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:MaxDirectMemorySize=128m", "-XX:+ExitOnOutOfMemoryError", "-Dfile.encoding=UTF-8"]
        properties = site.folder(self.name) / "s3proxy.properties"
        return [str(java), *flags, "-jar", str(site.provisioned.s3proxy_jar), "--properties", str(properties)]

    def working_directory(self, site: Site) -> Path:
        return site.folder(self.name)

    def is_healthy(self, settings: Settings) -> bool:
        return answers_http(f"http://{settings.host}:{settings.s3_port}/", (200, 403))

    def complete(self, site: Site) -> None:
        """Make the bucket, which is a folder: no client is needed, and repeating it is harmless."""
        os.makedirs(objects_dir(site.settings) / site.settings.s3_bucket, exist_ok=True)


def objects_dir(settings: Settings) -> Path:
    """Return the folder whose sub-folders are the buckets."""
    return settings.home / "s3"


def _properties(settings: Settings) -> str:
    secrets = settings.secrets
    values = {
        "s3proxy.authorization": "aws-v2-or-v4",
        "s3proxy.endpoint": f"http://{settings.host}:{settings.s3_port}",
        "s3proxy.identity": secrets.s3_access_key,
        "s3proxy.credential": secrets.s3_secret_key.get_secret_value(),
        "s3proxy.ignore-unknown-headers": "true",
        "jclouds.provider": "filesystem-nio2",
        "jclouds.filesystem.basedir": str(objects_dir(settings)).replace("\\", "\\\\"),
    }
    return "".join(f"{name}={value}\n" for name, value in values.items())
