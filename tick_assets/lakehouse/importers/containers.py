"""What a delivered file holds: texts, out of gz and zip, in the encoding that its byte-order mark names.

What belongs here: bytes to texts. What must not: formats, rows.
"""

from __future__ import annotations

import codecs
import io
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath

from tick_assets.lakehouse.importers.text_formats import ImportRefusedError

MAXIMUM_TEXT_BYTES = 4 * 2**30
"""More than this unpacked is no file of ticks of a month; it would not fit the memory either."""
TEXT_SUFFIXES = (".csv", ".txt", ".json")
CONTAINER_SUFFIXES = (".zip", ".gz")
_CHUNK = 2**20
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


@dataclass(frozen=True)
class Member:
    """One text and its name; `path` is the place within a zip, empty for a file of its own."""

    name: str
    text: str
    path: str = ""
    is_beside_csv: bool = False
    """A text beside the csv files of a zip: a vendor's report, or ticks that would be lost."""


def is_text_name(name: str) -> bool:
    """Tell whether a file of this name may hold ticks as text, packed or not."""
    return PurePath(name.lower()).suffix in (*TEXT_SUFFIXES, *CONTAINER_SUFFIXES)


def texts_of(name: str, content: bytes, limit: int = MAXIMUM_TEXT_BYTES) -> Iterator[Member]:
    """Yield the texts of a file by what its name says it is; what does not unpack is an `ImportRefusedError`."""
    suffix = PurePath(name.lower()).suffix
    if suffix == ".zip":
        yield from _zip_members(name, content, limit)
    elif suffix == ".gz":
        yield Member(name[: -len(".gz")], to_text(_gunzip(name, content, limit), name))
    else:
        yield Member(name, to_text(content, name))


def to_text(content: bytes, name: str) -> str:
    """Decode bytes: by their byte-order mark, else UTF-8; a byte that is none becomes a replacement mark, so its row is malformed."""
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return content[len(mark) :].decode(encoding, errors="replace")
    if content[:4].count(0) >= 2:
        raise ImportRefusedError(f"Expected text in {name}, was binary data, or UTF-16 without a byte-order mark. Save it as UTF-8.")
    return content.decode("utf-8", errors="replace")


def _gunzip(name: str, content: bytes, limit: int) -> bytes:
    """Unpack all streams of a gz file; a cut one is refused, not read as far as it goes."""
    parts: list[bytes] = []
    size = 0
    rest = content
    try:
        while rest:
            decoder = zlib.decompressobj(wbits=31)
            while not decoder.eof:
                part = decoder.decompress(rest, _CHUNK)
                rest = decoder.unconsumed_tail
                size += len(part)
                parts.append(part)
                if size > limit:
                    raise ImportRefusedError(f"Expected at most {limit} bytes in {name}, was more. Split it.")
                if not part and not rest and not decoder.eof:
                    raise ImportRefusedError(f"Expected a whole gz file at {name}, was cut. Download it again.")
            rest = decoder.unused_data.lstrip(b"\0")
    except zlib.error as error:
        raise ImportRefusedError(f"Expected a gz file at {name}, was something else ({error}). Download it again.") from error
    return b"".join(parts)


def _zip_members(name: str, content: bytes, limit: int) -> Iterator[Member]:
    """Yield the members; one that is no text refuses the zip."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir() and not entry.filename.startswith("__MACOSX/")]
            has_csv = _require_one_kind(name, [entry.filename.lower() for entry in entries])
            if sum(entry.file_size for entry in entries) > limit:
                raise ImportRefusedError(f"Expected at most {limit} bytes in {name}, was more. Split it.")
            for entry in entries:
                is_beside = has_csv and not entry.filename.lower().endswith(".csv")
                text = to_text(archive.read(entry), f"{name}#{entry.filename}")
                yield Member(PurePath(entry.filename).name, text, entry.filename, is_beside)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError, ValueError) as error:
        if isinstance(error, ImportRefusedError):
            raise
        raise ImportRefusedError(f"Expected a whole zip archive at {name}, was none that reads ({error}). Download it again.") from error


def _require_one_kind(name: str, members: list[str]) -> bool:
    """Return whether there are csv files; members of other kinds, none, or one name twice are refused."""
    strangers = [member for member in members if not member.endswith(TEXT_SUFFIXES)]
    if strangers or not members:
        raise ImportRefusedError(
            f"Expected csv, txt or json files inside {name}, was {', '.join(strangers[:5]) or 'none'}. Unpack it and import the ticks."
        )
    if len(set(members)) != len(members):
        raise ImportRefusedError(f"Expected each name once inside {name}, was one twice. Unpack it and import the ticks.")
    return any(member.endswith(".csv") for member in members)
