"""Many instances as one zip archive, made while it is sent.

Nothing is compressed: pixels hardly shrink, and the time it takes would be the client's.
"""

import io
import zipfile
from collections.abc import Iterable, Iterator

from lenticular.index.records import StoredInstance
from lenticular.services import Services
from lenticular.transactions.stored_bytes import file_content


def zipped(services: Services, instances: Iterable[StoredInstance]) -> Iterator[bytes]:
    """The archive piece by piece; a file is named `study/series/instance.dcm`."""
    return zipped_as(services, ((_name(instance), instance) for instance in instances))


def zipped_as(services: Services, files: Iterable[tuple[str, StoredInstance]]) -> Iterator[bytes]:
    """The archive piece by piece, of files with these names."""
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        for name, instance in files:
            entry = zipfile.ZipInfo(name)
            entry.file_size = instance.size  # so that it knows whether it needs ZIP64
            with archive.open(entry, "w") as member:
                for piece in file_content(services, instance).all():
                    yield sink.taken()
                    member.write(piece)
            yield sink.taken()
    yield sink.taken()


def _name(instance: StoredInstance) -> str:
    return (
        f"{instance.study_instance_uid}/{instance.series_instance_uid}"
        f"/{instance.sop_instance_uid}.dcm"
    )


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
