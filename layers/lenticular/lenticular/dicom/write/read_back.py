"""Read back what was written, and compare it, before it is stored or sent, PS3.10 7.

The reader is the one that reads every received file, so a file that passes is readable by this
server. Large values are compared a piece at a time.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lenticular.dicom.model import Dataset, Layout, ParsedInstance
from lenticular.dicom.read.character_sets import character_set
from lenticular.dicom.read.element_encoding import UNDEFINED, Encoding
from lenticular.dicom.read.elements import ElementReader
from lenticular.dicom.read.vr_decode import LITTLE_ENDIAN, little_endian
from lenticular.dicom.write.element import WritableElement

Read = Callable[[int, int], bytes]
"""Returns bytes of the file: `read(offset, most)`."""


class NotAsWritten(ValueError):
    """An element of a file does not read as it was written; the message is its path."""


def compare(elements: Sequence[WritableElement], parsed: ParsedInstance, read: Read) -> None:
    """Raise NotAsWritten unless the file has these elements, and their values, and no others."""
    _Comparison(parsed.layout, read).datasets(elements, parsed.dataset, "")


class _Comparison:
    def __init__(self, layout: Layout, read: Read) -> None:
        self._read = read
        self._positions = {path: position[:2] for path, position in layout.bulkdata.items()}
        if layout.pixels is not None:
            self._positions[layout.pixels.tag] = (layout.pixels.offset, layout.pixels.length)
        self._utf8 = character_set(("ISO_IR 192",))

    def datasets(self, meant: Sequence[WritableElement], found: Dataset, path: str) -> None:
        """Compare the elements of a data set or of an item."""
        if [element.tag for element in meant] != list(found):
            raise NotAsWritten(path or "/")
        for element in meant:
            self._element(element, found, path + element.tag)

    def _element(self, meant: WritableElement, dataset: Dataset, path: str) -> None:
        """Compare one element."""
        found = dataset[meant.tag]
        if isinstance(meant.value, tuple):
            self._items(meant.value, found.get("Value", []), path)
        elif "BulkDataURI" in found:
            self._bulk(meant, path)
        elif found["vr"] != meant.vr and meant.written_vr != "UN":
            raise NotAsWritten(path)
        else:
            codec = LITTLE_ENDIAN[found["vr"]]
            expected = codec.encode(b"".join(meant.value_pieces()), self._utf8)
            if found.get(codec.key) != expected:
                raise NotAsWritten(path)

    def _items(
        self, meant: Sequence[Sequence[WritableElement]], found: Sequence[Dataset], path: str
    ) -> None:
        """Compare the items of a sequence."""
        if len(meant) != len(found):
            raise NotAsWritten(path)
        for number, (item, dataset) in enumerate(zip(meant, found, strict=True)):
            self.datasets(item, dataset, f"{path}/{number}/")

    def _bulk(self, meant: WritableElement, path: str) -> None:
        """Compare a value that the dataset leaves out, at the position in the layout."""
        offset, length = self._positions.get(path, (0, 0))
        if meant.length not in (length, UNDEFINED):
            raise NotAsWritten(path)
        end = offset + length
        for piece in meant.value_pieces():
            if self._read(offset, len(piece)) != piece:
                raise NotAsWritten(path)
            offset += len(piece)
        # The delimiter of compressed frames is written with their value, but does not belong to it.
        if offset != end + (8 if meant.length == UNDEFINED else 0):
            raise NotAsWritten(path)


@dataclass(frozen=True, slots=True)
class ElementContent:
    """The elements of a data set, and the values that are too large for JSON by their path."""

    dataset: Dataset
    values: dict[str, bytes]


def read_content(content: bytes, start: int, encoding: Encoding) -> ElementContent:
    """Return the elements of a data set that begins at `start`, all values little endian."""
    reader = ElementReader(memoryview(content), start, encoding)
    reader.read()
    values = {}
    for bulk in reader.bulkdata:
        raw = content[bulk.offset : bulk.offset + bulk.length]
        values[bulk.path] = little_endian(bulk.vr, raw) if reader.is_big_endian else raw
    return ElementContent(reader.dataset, values)


def differences(meant: ElementContent, found: ElementContent) -> set[str]:
    """Return the tags, at the root, of all elements that differ in any way."""
    tags = {
        tag
        for tag in meant.dataset.keys() | found.dataset.keys()
        if meant.dataset.get(tag) != found.dataset.get(tag)
    }
    paths = meant.values.keys() | found.values.keys()
    return tags | {
        path[:8] for path in paths if not _are_equal(meant.values.get(path), found.values.get(path))
    }


def _are_equal(meant: bytes | None, found: bytes | None) -> bool:
    """Return True if the values are equal except for a byte of padding."""
    if meant is None or found is None:
        return False
    return found == meant or (len(meant) % 2 == 1 and found[:-1] == meant)
