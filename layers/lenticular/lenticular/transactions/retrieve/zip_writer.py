"""Many instances as one zip archive, made while it is sent.

Nothing is compressed: pixels hardly shrink, and the time it takes would be the client's.
"""

import io
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import quote

from lenticular.index.records import StoredInstance


@dataclass(frozen=True, slots=True)
class ZipEntry:
    """A file of the archive; `size` in bytes is None if it is not known before."""

    name: str
    pieces: Callable[[], Iterable[bytes]]
    size: int | None = None


def zip_stream(entries: Iterable[ZipEntry]) -> Iterator[bytes]:
    """Yield the archive piece by piece."""
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        for entry in entries:
            info = zipfile.ZipInfo(entry.name)
            info.file_size = entry.size or 0  # so that it knows whether it needs ZIP64
            with archive.open(info, "w", force_zip64=entry.size is None) as member:
                for piece in entry.pieces():
                    yield sink.taken()
                    member.write(piece)
            yield sink.taken()
    yield sink.taken()


def entry_name(instance: StoredInstance) -> str:
    """Return the name of an instance in an archive: `study/series/instance.dcm`."""
    uids = (instance.study_instance_uid, instance.series_instance_uid, instance.sop_instance_uid)
    return "/".join(quote(uid, safe="") for uid in uids) + ".dcm"


class _Sink(io.RawIOBase):
    """Takes what the archive writes until the next piece is sent."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self._pieces.append(bytes(data))
        return len(data)

    def taken(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)
