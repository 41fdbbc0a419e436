"""Zips on their way in: each entry as a body to store, within limits that stop zip bombs.

Everything in the directory of the zip is checked before the first entry is unpacked, and
no entry unpacks to more than the directory says. Zips in zips stay closed.
"""

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from typing import BinaryIO

from lenticular import errors
from lenticular.services import Services
from lenticular.settings import Settings
from lenticular.storage.spool import Spool
from lenticular.transactions.store.batch import Batch
from lenticular.transactions.store.store import StoreResult

SMALL_BYTES = 1024**3
LARGEST_RATIO = 250
PIECE_BYTES = 1024 * 1024

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
_UTF_8 = 0x800
_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
# What zipfile raises for the many ways in which a zip can be broken.
_BROKEN = (
    *(zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError, EOFError, IndexError),
    *(OSError, OverflowError, struct.error, zlib.error),
)


def is_zip(head: bytes | memoryview) -> bool:
    """Return True if a body with this beginning is a zip."""
    return bytes(head[:4]) in (b"PK\x03\x04", _END)


def zip_entries(
    services: Services, source: BinaryIO | Spool
) -> Iterator[tuple[str, Spool | errors.InvalidInstance]]:
    """Yield name and content of each file in a zip, which the caller closes.

    For a file that is damaged comes an error, as the others can be read. Closes a zip that is given
    as a file. Raises InvalidInstance for a zip that cannot be opened or is encrypted, TooLarge for
    one past a limit.
    """
    with _opened(source) as file:
        size = file.seek(0, io.SEEK_END)
        _check_directory(file, size, services.settings.maximum_zip_entries)
        try:
            archive = zipfile.ZipFile(file)
        except _BROKEN as error:
            raise errors.InvalidInstance("The zip cannot be opened.") from error
        with archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            _check_entries(entries, size, services.settings)
            for number, entry in enumerate(entries, 1):
                try:
                    content: Spool | errors.InvalidInstance = _unpack(
                        services, archive, entry, number
                    )
                except errors.InvalidInstance as error:
                    content = error
                yield _name(entry), content


def store_zip(services: Services, source: BinaryIO | Spool) -> Iterator[tuple[str, StoreResult]]:
    """Store each file of a zip, several in one transaction; the name and the result of each.

    What can be read is stored; raises InvalidInstance if that is no file at all.
    """
    batch: Batch[str] = Batch(services)
    damaged: list[tuple[str, errors.InvalidInstance]] = []
    has_read_any = False
    try:
        for name, content in zip_entries(services, source):
            if isinstance(content, errors.InvalidInstance):
                damaged.append((name, content))
                continue
            has_read_any = True
            batch.add(content, name)
            if batch.is_full:
                yield from batch.store()
        yield from batch.store()
    finally:
        batch.close()
    if damaged and not has_read_any:
        raise damaged[0][1]
    for name, error in damaged:
        yield name, StoreResult(None, failure_reason=error.failure_reason, detail=error.detail)


def _name(entry: zipfile.ZipInfo) -> str:
    """Return the name of an entry as it was written, as far as its encoding can be known."""
    if entry.flag_bits & _UTF_8:
        return entry.filename
    # Many write UTF-8 and do not say so; zipfile then takes it for the code page of DOS.
    with suppress(UnicodeError):
        return entry.filename.encode("cp437").decode("utf-8")
    return entry.filename


def check_expansion(packed: int, unpacked: int) -> None:
    """Refuse what unpacks to far more than pixels do; a small amount is always let through."""
    if unpacked > SMALL_BYTES and unpacked > LARGEST_RATIO * packed:
        raise errors.TooLarge(
            f"{packed:,} bytes unpack to {unpacked:,} or more; that is not a collection of images."
        )


def _check_entries(entries: list[zipfile.ZipInfo], packed: int, settings: Settings) -> None:
    """Refuse a zip by its directory alone."""
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
                f" {settings.maximum_body:,} are allowed at most."
            )
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > settings.maximum_zip_bytes:
        raise errors.TooLarge(
            f"The zip unpacks to {unpacked:,} bytes;"
            f" {settings.maximum_zip_bytes:,} are allowed at most. Send it in parts."
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


def _check_directory(file: BinaryIO, size: int, maximum_entries: int) -> None:
    """Count the entries before zipfile makes an object of each (APPNOTE 4.3.12)."""
    position, end = _directory(file, size)
    count = 0
    while position + _ENTRY_BYTES <= end:
        head = _read(file, position, _ENTRY_BYTES)
        if not head.startswith(_ENTRY):
            return
        count += 1
        if count > maximum_entries:
            raise errors.TooLarge(f"The zip holds more than {maximum_entries:,} files.")
        position += _ENTRY_BYTES + sum(struct.unpack_from("<3H", head, 28))


def _directory(file: BinaryIO, size: int) -> tuple[int, int]:
    """Return start and end of the central directory (APPNOTE 4.3.14 to 4.3.16)."""
    tail_start = max(0, size - _END_BYTES - _LONGEST_COMMENT)
    tail = _read(file, tail_start, size - tail_start)
    end = tail.rfind(_END)
    if end < 0 or end + _END_BYTES > len(tail):
        raise errors.InvalidInstance("The zip cannot be opened: its end is missing.")
    (length,) = struct.unpack_from("<L", tail, end + 12)
    end += tail_start
    behind = _ZIP64_END_BYTES + _ZIP64_LOCATOR_BYTES
    if end >= behind:
        zip64 = _read(file, end - behind, behind)
        if zip64.startswith(_ZIP64_END) and zip64[_ZIP64_END_BYTES:].startswith(_ZIP64_LOCATOR):
            (length,) = struct.unpack_from("<Q", zip64, 40)
            end -= behind
    if length > end:
        raise errors.InvalidInstance("The zip cannot be opened: its directory is missing.")
    return end - length, end


def _read(file: BinaryIO, position: int, size: int) -> bytes:
    file.seek(position)
    return file.read(size)


def _opened(source: BinaryIO | Spool) -> BinaryIO:
    """Return the zip as a file: mapped into memory it would be counted as memory that we use."""
    if not isinstance(source, Spool):
        return source
    return source.path.open("rb") if source.path is not None else io.BytesIO(source.view())
