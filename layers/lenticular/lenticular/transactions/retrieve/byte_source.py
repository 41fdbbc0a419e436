"""The bytes of stored instances, read by range, in the byte order that the web speaks.

PS3.18 8.7.3.3.1: uncompressed bulk data is sent in little endian, also from big-endian files.
"""

from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from lenticular.dicom.transfer_syntaxes import lookup
from lenticular.errors import NotFound
from lenticular.index.records import StoredInstance
from lenticular.services import Services

PIECE = 1024 * 1024  # a multiple of every word's size
LONGEST_HEAD = 256 * 1024
"""Bytes within which the File Meta Information of a file ends."""

_ARRAY_CODES = {2: "H", 4: "I", 8: "Q"}
# Words of the value representations that big endian turns round (PS3.5 7.3).
_WORD_BYTES = {
    **dict.fromkeys(("AT", "OW", "SS", "US"), 2),
    **dict.fromkeys(("FL", "OF", "OL", "SL", "UL"), 4),
    **dict.fromkeys(("FD", "OD", "OV", "SV", "UV"), 8),
}


class FileGone(NotFound):
    """The file of an instance was removed after the index had named it.

    Either the instance was deleted or it was replaced: the index has the answer.
    """


@dataclass(frozen=True, slots=True)
class ByteSource:
    """So many bytes, any range of which can be had: `pieces(offset, length)`."""

    size: int
    pieces: Callable[[int, int], Iterable[bytes]]
    key: str | None = None
    """Of the file whose bytes these are, when they are nothing else."""

    @classmethod
    def of(cls, data: bytes) -> "ByteSource":
        """Return a source of bytes in memory."""
        return cls(len(data), lambda offset, length: [data[offset : offset + length]])

    def all(self) -> Iterable[bytes]:
        """Return every byte."""
        return self.pieces(0, self.size)

    def read(self, offset: int = 0, length: int | None = None) -> bytes:
        """Return a range of the bytes in one piece."""
        return b"".join(self.pieces(offset, self.size - offset if length is None else length))


def file_content(services: Services, instance: StoredInstance) -> ByteSource:
    """Return the file as it was received."""

    def pieces(offset: int, length: int) -> Iterable[bytes]:
        try:
            return services.storage.stream(instance.key, offset, length)
        except FileNotFoundError:
            raise FileGone(f"The file of instance {instance.sop_instance_uid} is gone.") from None

    return ByteSource(instance.size, pieces, instance.key)


def layout_content(services: Services, instance: StoredInstance) -> ByteSource:
    """Return the bytes that the layout's offsets count: of a deflated file, the inflated ones."""
    file = file_content(services, instance)
    if not lookup(instance.transfer_syntax_uid).deflated:
        return file
    return _inflated(services, file)


def _inflated(services: Services, file: ByteSource) -> ByteSource:
    """Inflate a file into a spool, so that a large one takes no memory, and is inflated once."""
    from lenticular.dicom.read.deflate import inflated_pieces
    from lenticular.dicom.read.part10 import data_set_start

    start, _ = data_set_start(file.read(0, min(LONGEST_HEAD, file.size)))
    with services.new_spool() as spool:
        spool.write(file.read(0, start))
        for piece in inflated_pieces(file.pieces(start, file.size - start)):
            spool.write(piece)
        view = spool.view()  # outlives the spool, whose file is removed

    def pieces(offset: int, length: int) -> Iterator[bytes]:
        stop = min(offset + length, len(view))
        for position in range(offset, stop, PIECE):
            yield bytes(view[position : min(position + PIECE, stop)])

    return ByteSource(len(view), pieces)


def little_endian(whole: ByteSource, start: int, size: int, word_bytes: int) -> ByteSource:
    """Return a range of big-endian words of `word_bytes` bytes, in little endian."""
    if word_bytes == 1:
        return ByteSource(size, lambda offset, length: whole.pieces(start + offset, length))

    def pieces(offset: int, length: int) -> Iterator[bytes]:
        end = min(offset + length, size)
        position = offset - offset % word_bytes
        while position < end:
            words = whole.read(start + position, min(PIECE, _up(end - position, word_bytes)))
            turned = _turned_round(words, word_bytes)
            yield turned[max(offset - position, 0) : end - position]
            position += PIECE

    return ByteSource(size, pieces)


def word_bytes(transfer_syntax_uid: str, vr: str) -> int:
    """Return the size of the words of a value that have to be swapped; 1 if none has to be."""
    return _WORD_BYTES.get(vr, 1) if lookup(transfer_syntax_uid).big_endian else 1


def _up(size: int, multiple: int) -> int:
    return -(-size // multiple) * multiple


def _turned_round(data: bytes, word_bytes: int) -> bytes:
    whole = len(data) - len(data) % word_bytes
    words = array(_ARRAY_CODES[word_bytes], data[:whole])
    words.byteswap()
    return words.tobytes() + data[whole:]
