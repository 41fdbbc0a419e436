"""Zips on their way in: each entry as a body to store, within limits that stop zip bombs.

Everything that the directory of the zip tells is checked before the first entry is unpacked, and
no entry unpacks to more than the directory says. Zips in zips stay closed.
"""

import io
import mmap
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lenticular import errors
from lenticular.services import Services
from lenticular.settings import Settings
from lenticular.storage.spool import Spool
from lenticular.transactions.store import StoreResult, store

SMALL_BYTES = 1024**3
LARGEST_RATIO = 250
PIECE_BYTES = 1024 * 1024
# One transaction takes this much, so that memory and open files stay few.
BATCH_FILES = 64
BATCH_BYTES = 32 * 1024 * 1024

_END = b"PK\x05\x06"
_END_BYTES = 22
_LONGEST_COMMENT = 0xFFFF
_ZIP64_END = b"PK\x06\x06"
_ZIP64_END_BYTES = 56
_ZIP64_LOCATOR = b"PK\x06\x07"
_ZIP64_LOCATOR_BYTES = 20
_ENTRY = b"PK\x01\x02"
_ENTRY_BYTES = 46
_ENCRYPTED = 0x1
_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
# What zipfile raises for the many ways in which a zip can be broken.
_BROKEN = (
    *(zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError, EOFError, IndexError),
    *(OSError, OverflowError, struct.error, zlib.error),
)


def is_zip(head: bytes | memoryview) -> bool:
    """Whether a body that begins so is a zip."""
    return bytes(head[:4]) in (b"PK\x03\x04", _END)


def zip_entries(services: Services, source: Path | Spool) -> Iterator[tuple[str, Spool]]:
    """Name and content of each file in a zip, which the caller closes.

    Raises InvalidInstance for a zip that is broken or encrypted, TooLarge for one past a limit.
    """
    with _view(source) as view:
        _check_directory(view, services.settings.maximum_zip_entries)
        try:
            archive = zipfile.ZipFile(_File(view))
        except _BROKEN as error:
            raise errors.InvalidInstance("The zip cannot be opened.") from error
        with archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            _check_entries(entries, len(view), services.settings)
            for number, entry in enumerate(entries, 1):
                yield entry.filename, _unpack(services, archive, entry, number)


def store_zip(services: Services, source: Spool) -> Iterator[StoreResult]:
    """Store each file of a zip, several in one transaction; a result for each."""
    batch: list[Spool] = []
    try:
        for _, spool in zip_entries(services, source):
            batch.append(spool)
            if len(batch) >= BATCH_FILES or sum(each.size for each in batch) >= BATCH_BYTES:
                yield from _stored(services, batch)
        yield from _stored(services, batch)
    finally:
        _close(batch)


def _stored(services: Services, batch: list[Spool]) -> list[StoreResult]:
    try:
        return store(services, batch)
    finally:
        _close(batch)


def _close(batch: list[Spool]) -> None:
    for spool in batch:
        spool.close()
    batch.clear()


def check_expansion(packed: int, unpacked: int) -> None:
    """Refuse what unpacks to far more than pixels do; a small amount is always let through."""
    if unpacked > SMALL_BYTES and unpacked > LARGEST_RATIO * packed:
        raise errors.TooLarge(
            f"{packed:,} bytes unpack to {unpacked:,} or more; that is no collection of images."
        )


def _check_entries(entries: list[zipfile.ZipInfo], packed: int, settings: Settings) -> None:
    """Judge by the directory alone."""
    if not entries:
        raise errors.InvalidInstance("The zip is empty, so there is nothing to store.")
    for number, entry in enumerate(entries, 1):
        if entry.flag_bits & _ENCRYPTED:
            raise errors.InvalidInstance(f"The zip is encrypted (file {number} in it).")
        if entry.compress_type not in _METHODS:
            raise errors.InvalidInstance(
                f"File {number} in the zip is compressed by method {entry.compress_type};"
                " only deflate is understood."
            )
        if entry.file_size > settings.maximum_body:
            raise errors.TooLarge(
                f"File {number} in the zip has {entry.file_size:,} bytes;"
                f" {settings.maximum_body:,} are taken at most."
            )
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > settings.maximum_zip_bytes:
        raise errors.TooLarge(
            f"The zip unpacks to {unpacked:,} bytes;"
            f" {settings.maximum_zip_bytes:,} are taken at most. Send it in parts."
        )
    check_expansion(packed, unpacked)


def _unpack(
    services: Services, archive: zipfile.ZipFile, entry: zipfile.ZipInfo, number: int
) -> Spool:
    spool = services.new_spool()
    try:
        for piece in _pieces(archive, entry, number):
            spool.write(piece)
    except BaseException:
        spool.close()
        raise
    return spool


def _pieces(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, number: int) -> Iterator[bytes]:
    try:
        with archive.open(entry) as file:
            while piece := file.read(PIECE_BYTES):
                yield piece
    except _BROKEN as error:
        raise errors.InvalidInstance(f"File {number} in the zip is damaged.") from error


def _check_directory(view: memoryview, maximum_entries: int) -> None:
    """Count the entries before zipfile makes an object of each (APPNOTE 4.3.12, 4.3.14, 4.3.16)."""
    position, end = _directory(view)
    count = 0
    while position + _ENTRY_BYTES <= end and view[position : position + 4] == _ENTRY:
        count += 1
        if count > maximum_entries:
            raise errors.TooLarge(f"The zip holds more than {maximum_entries:,} files.")
        position += _ENTRY_BYTES + sum(struct.unpack_from("<3H", view, position + 28))


def _directory(view: memoryview) -> tuple[int, int]:
    """Where the central directory begins and ends."""
    tail = max(0, len(view) - _END_BYTES - _LONGEST_COMMENT)
    end = bytes(view[tail:]).rfind(_END)
    if end < 0 or tail + end + _END_BYTES > len(view):
        raise errors.InvalidInstance("The zip cannot be opened: its end is missing.")
    end += tail
    (size,) = struct.unpack_from("<L", view, end + 12)
    locator = end - _ZIP64_LOCATOR_BYTES
    zip64_end = locator - _ZIP64_END_BYTES
    if (
        zip64_end >= 0
        and view[locator : locator + 4] == _ZIP64_LOCATOR
        and view[zip64_end : zip64_end + 4] == _ZIP64_END
    ):
        (size,) = struct.unpack_from("<Q", view, zip64_end + 40)
        end = zip64_end
    if size > end:
        raise errors.InvalidInstance("The zip cannot be opened: its directory is missing.")
    return end - size, end


@contextmanager
def _view(source: Path | Spool) -> Iterator[memoryview]:
    """The bytes of the zip, without reading a large file into memory."""
    if isinstance(source, Spool):
        yield source.view()
        return
    with (
        source.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
        memoryview(mapped) as view,
    ):
        yield view


class _File(io.RawIOBase):
    """Bytes as the file that zipfile reads from; BytesIO would copy them."""

    def __init__(self, view: memoryview) -> None:
        self._view = view
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        piece = self._view[self._position : self._position + len(buffer)]
        buffer[: len(piece)] = piece
        self._position += len(piece)
        return len(piece)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: len(self._view)}[whence]
        if start + offset < 0:
            raise OSError("a position before the beginning")
        self._position = start + offset
        return self._position

    def tell(self) -> int:
        return self._position
