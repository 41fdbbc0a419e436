"""The data set of a file, read in one pass into the DICOM JSON Model, PS3.5 7 and PS3.18 Annex F.

The walk keeps its own stack, so nesting of any depth is read, and it looks at element headers and
small values only: pixels and other bulk data are stepped over, their place noted. What is damaged
inside a sequence of known length is kept as bytes; damage anywhere else is refused.
"""

from typing import Any

from lenticular.dicom import dictionary, tags
from lenticular.dicom.model import Dataset
from lenticular.dicom.read import character_sets
from lenticular.dicom.read.character_sets import CharacterSet
from lenticular.dicom.read.element_encoding import (
    DELIMITERS,
    EXPLICIT_LITTLE,
    ITEM,
    ITEM_END,
    SEQUENCE_END,
    TRAILING_PADDING,
    UNDEFINED,
    Damaged,
    Encoding,
    cut_off,
    encoding_of,
    only_zeros,
)
from lenticular.dicom.read.element_stack import OpenBulk, OpenDataset, OpenSequence
from lenticular.dicom.read.fragments import Fragments, scan
from lenticular.dicom.read.vr_decode import WORD_BYTES, VrCodec
from lenticular.errors import FailureReason, InvalidInstance

MAX_ELEMENTS = 1_000_000
"""Elements and items in one file: an enhanced object of 20,000 frames has about half a million."""

MAX_JSON_DEPTH = 64
"""Sequences inside sequences that the JSON shows; JSON readers give up soon beyond it (orjson at
84). What lies deeper is bulk data, of VR UN as any value that is not looked into."""

MAX_INLINE_BYTES = 16 * 1024 * 1024
"""All values in one data set's JSON; when they are more, the rest become bulk data."""

PIXEL_TAGS = frozenset({tags.FLOAT_PIXEL_DATA, tags.DOUBLE_FLOAT_PIXEL_DATA, tags.PIXEL_DATA})
_OFFSET_TABLES = frozenset({tags.EXTENDED_OFFSET_TABLE, tags.EXTENDED_OFFSET_TABLE_LENGTHS})

_SMALL = 64  # bytes; up to here a plain value needs no further thought


class ElementReader:
    """Reads one data set; what it found is in its attributes afterwards."""

    def __init__(self, data: memoryview, start: int, coding: Encoding) -> None:
        self.dataset: Dataset = {}
        self.bulkdata: list[OpenBulk] = []
        self.pixels: OpenBulk | None = None
        self.fragments: Fragments | None = None
        self.offset_tables: dict[str, tuple[int, int]] = {}
        self.has_open_sequence = False
        self.is_big_endian = coding.order == ">"
        self._data = data
        self._elements_left = MAX_ELEMENTS
        self._inline_left = MAX_INLINE_BYTES
        self._root = OpenDataset(self.dataset, coding, character_sets.DEFAULT, start, len(data))

    def read(self) -> None:
        """Read to the end of the data set."""
        level = self._root
        while True:
            try:
                following = self._read_level(level)
            except Damaged as damage:
                following = self._recovered(level, damage)
            if following is None:
                return
            level = following

    def _read_level(self, level: OpenDataset) -> OpenDataset | None:
        """Read elements until a sequence begins or the level ends; the level to go on with.

        This is the inner loop: small plain values are dealt with here, all else elsewhere.
        """
        data, end, dataset, repertoire = self._data, level.end, level.dataset, level.repertoire
        coding, public = level.coding, dictionary.PUBLIC
        position = level.position
        while position + 8 <= end:
            if coding.explicit:
                group, number, code, length = coding.header(data, position)
                kind = coding.kinds_by_code.get(code)
            else:
                group, number, length = coding.tag_and_length(data, position)
                kind = coding.kinds.get(public[group << 16 | number])
            key = f"{group:04X}{number:04X}"
            stop = position + 8 + length
            if (
                kind is None
                or kind.has_long_header
                or length > _SMALL
                or stop > end
                or key <= level.last_key
                or not number
                or self._elements_left <= 0
            ):
                level.position = position
                following = self._read_special(level)
                if following is not level:
                    return following
                position, repertoire = level.position, level.repertoire
                continue
            self._elements_left -= 1
            try:
                value = kind.encode(data[position + 8 : stop].tobytes(), repertoire)
            except ValueError:
                dataset[key] = self._element(level, key, coding.unknown, position + 8, length)
            else:
                dataset[key] = {"vr": kind.vr} if value is None else {"vr": kind.vr, "Value": value}
            level.last_key = key
            position = stop
            if key == tags.SPECIFIC_CHARACTER_SET:
                repertoire = self._change_repertoire(level)
        level.position = position
        return self._leave(level)

    def _read_special(self, level: OpenDataset) -> OpenDataset | None:
        """Read one element that needs a second look; the level to go on with."""
        self._count()
        tag, kind, coding, start, length = self._header(level)
        key = f"{tag:08X}"
        if tag >> 16 == DELIMITERS:
            return self._delimiter(level, tag, length)
        if level is self._root and self._ends_before(tag, key):
            level.position = level.end
        elif length == UNDEFINED:
            return self._read_delimited(level, key, kind, coding, start)
        elif start + length > level.end:
            raise cut_off(f"({tag >> 16:04X},{tag & 0xFFFF:04X})", start + length, level.end)
        elif not tag & 0xFFFF or key < "0003":
            # A group length, or what belongs to a message or to the file's head.
            level.position = start + length
        elif kind.vr == "SQ" and length:
            return self._open(level, key, coding, start, start + length)
        else:
            self._put(level, key, self._element(level, key, kind, start, length))
            level.position = start + length
        return level

    def _header(self, level: OpenDataset) -> tuple[int, VrCodec, Encoding, int, int]:
        """Tag, kind, coding of the value, start and length of the element at the position."""
        data, coding, position = self._data, level.coding, level.position
        tag, length = coding.tag_at(data, position)
        start = position + 8
        if not coding.explicit or tag >> 16 == DELIMITERS:
            kind = coding.kinds.get(dictionary.PUBLIC[tag], coding.unknown)
        else:
            kind, coding, start, length = coding.explicit_header(data, position, level.end)
        if kind.vr == "UN":
            kind = self._kind_from_dictionary(level, tag, coding)
        return tag, kind, coding, start, length

    def _kind_from_dictionary(self, level: OpenDataset, tag: int, coding: Encoding) -> VrCodec:
        if tag >> 16 & 1:
            vr = dictionary.private_vr(tag, level.dataset)
        else:
            sequence = "" if level.sequence is None else level.sequence.key
            around = level.datasets_outwards()
            vr = dictionary.resolve(tag, dictionary.PUBLIC[tag], around, sequence)
        return coding.kinds.get(vr, coding.unknown)

    def _ends_before(self, tag: int, key: str) -> bool:
        """Return True if the data set ended here, and padding or garbage follows."""
        if tag == TRAILING_PADDING:
            return True
        if self.pixels is not None:
            return key <= self._root.last_key
        if tag != 0:
            return False
        start, end = self._root.position, self._root.end
        if only_zeros(self._data, start, end):
            return True
        raise Damaged(f"The data set is damaged: there are zeros at byte {start:,}.")

    def _put(self, level: OpenDataset, key: str, element: dict[str, Any]) -> None:
        level.dataset[key] = element
        if key > level.last_key:
            level.last_key = key
        else:
            level.is_ordered = False
        if key == tags.SPECIFIC_CHARACTER_SET:
            self._change_repertoire(level)

    def _change_repertoire(self, level: OpenDataset) -> CharacterSet:
        """Read further text as (0008,0005) says; the JSON itself is UTF-8 (PS3.18 F.2.2)."""
        element = level.dataset[tags.SPECIFIC_CHARACTER_SET]
        terms = element.get("Value")
        if terms is not None and element["vr"] == "CS":
            if level.coding.as_written:
                terms = terms[0].split("\\")
            else:
                element["Value"] = ["ISO_IR 192"]
            level.repertoire = character_sets.character_set(
                tuple((term or "").strip() for term in terms)
            )
        return level.repertoire

    def _element(
        self, level: OpenDataset, key: str, kind: VrCodec, start: int, length: int
    ) -> dict[str, Any]:
        """Return the JSON of an element whose value lies there."""
        is_root = level is self._root
        if is_root and key in _OFFSET_TABLES:
            self.offset_tables[key] = (start, length)
        if key in PIXEL_TAGS and length:
            return self._bulk(level, key, kind.vr, start, length)
        if length > kind.limit or (length > _SMALL and length > self._inline_left):
            return self._bulk(level, key, kind.vr, start, length)
        self._inline_left -= length
        try:
            value = kind.encode(self._data[start : start + length].tobytes(), level.repertoire)
        except ValueError:
            # The VR cannot hold these bytes; they are kept, and nothing is claimed of them.
            return self._element(level, key, level.coding.unknown, start, length)
        return {"vr": kind.vr} if value is None else {"vr": kind.vr, kind.key: value}

    def _bulk(
        self, level: OpenDataset, key: str, vr: str, start: int, length: int
    ) -> dict[str, Any]:
        """Return an element without its value, which is noted for a BulkDataURI."""
        if level.sequence is not None and level.sequence.depth > MAX_JSON_DEPTH:
            return {"vr": vr}
        bulk = OpenBulk({"vr": vr}, level.path(key), start, length, vr)
        if level is self._root and key in PIXEL_TAGS:
            if self.pixels is not None:
                self.bulkdata.append(self.pixels)
            self.pixels, self.fragments = bulk, None
        else:
            self.bulkdata.append(bulk)
        return bulk.element

    def _read_delimited(
        self, level: OpenDataset, key: str, kind: VrCodec, coding: Encoding, start: int
    ) -> OpenDataset | None:
        """Read a value of undefined length: encapsulated pixels or the like, else a sequence."""
        if key in PIXEL_TAGS or kind.vr in WORD_BYTES or kind.vr == "OB":
            fragments = scan(self._data, start, level.end, coding)
            vr = "OB" if key in PIXEL_TAGS else kind.vr  # PS3.5 A.4
            self._put(level, key, self._bulk(level, key, vr, start, fragments.stop - start))
            if level is self._root and key in PIXEL_TAGS:
                self.fragments = fragments
            level.position = fragments.following
            return level
        if start + 8 <= level.end and coding.tag_at(self._data, start)[0] in (ITEM, SEQUENCE_END):
            return self._open(level, key, coding, start, None)
        raise Damaged(f"({key[:4]},{key[4:]}) is of undefined length, but not a sequence.")

    def _open(
        self, level: OpenDataset, key: str, coding: Encoding, start: int, stop: int | None
    ) -> OpenDataset:
        """Begin a sequence; without a stop it ends at its delimiter."""
        was_unknown = level.coding.explicit and not coding.explicit
        if was_unknown and coding.order == "<" and self._is_explicit(start):
            coding = encoding_of("<", True, coding.as_written)
        sequence = OpenSequence(
            key,
            {"vr": "SQ"},
            level,
            coding,
            start,
            level.end if stop is None else stop,
            is_delimited=stop is None,
            depth=level.sequence.depth + 1 if level.sequence else 1,
            bulkdata_before=len(self.bulkdata),
        )
        self._put(level, key, sequence.element)
        try:
            return self._next_item(sequence, start)
        except Damaged:
            if sequence.is_delimited:
                raise
            return self._given_up(sequence)

    def _is_explicit(self, start: int) -> bool:
        """Return True if the first item holds an explicit element, though in a value of VR UN."""
        return bytes(self._data[start + 12 : start + 14]) in EXPLICIT_LITTLE.kinds_by_code

    def _next_item(self, sequence: OpenSequence, position: int) -> OpenDataset:
        """Begin the next item, or go back to the level of a sequence that ends here."""
        while position + 8 <= sequence.end:
            tag, length = sequence.coding.tag_at(self._data, position)
            position += 8
            if tag == ITEM:
                return self._begin_item(sequence, position, length)
            if tag == SEQUENCE_END and sequence.is_delimited:
                return self._close(sequence, position - 8, position)
            if sequence.is_delimited and only_zeros(self._data, position - 8, len(self._data)):
                break
            if tag not in (ITEM_END, SEQUENCE_END):
                raise Damaged("A sequence is damaged: something else stands among its items.")
        if sequence.is_delimited:
            self.has_open_sequence = True
        return self._close(sequence, sequence.end, sequence.end)

    def _begin_item(self, sequence: OpenSequence, start: int, length: int) -> OpenDataset:
        self._count()
        stop = sequence.end if length == UNDEFINED else start + length
        if stop > sequence.end:
            raise cut_off("an item of a sequence", stop, sequence.end)
        item: Dataset = {}
        sequence.items.append(item)
        return OpenDataset(
            item,
            sequence.coding,
            sequence.level.repertoire,
            start,
            stop,
            sequence,
            is_delimited=length == UNDEFINED,
        )

    def _close(self, sequence: OpenSequence, stop: int, following: int) -> OpenDataset:
        if sequence.depth == MAX_JSON_DEPTH + 1:
            self._keep_as_bytes(sequence, stop)  # and with it all that is deeper
        elif sequence.items:
            sequence.element["Value"] = sequence.items
        sequence.level.position = following
        return sequence.level

    def _given_up(self, sequence: OpenSequence) -> OpenDataset:
        """Go on behind a sequence of known length that is damaged inside."""
        self._keep_as_bytes(sequence, sequence.end)
        sequence.level.position = sequence.end
        return sequence.level

    def _keep_as_bytes(self, sequence: OpenSequence, stop: int) -> None:
        """Take a sequence for a value of unknown VR after all."""
        del self.bulkdata[sequence.bulkdata_before :]
        level, start = sequence.level, sequence.start
        level.dataset[sequence.key] = self._element(
            level, sequence.key, level.coding.unknown, start, stop - start
        )

    def _delimiter(self, level: OpenDataset, tag: int, length: int) -> OpenDataset | None:
        """Meet an item or a delimiter where an element should be."""
        if level is self._root and length <= level.end - level.position - 8:
            # The head of its sequence was lost; what is in it cannot be told where to belong.
            level.position += 8 + length
            return level
        if tag == ITEM_END and level is not self._root:
            level.position += 8
            return self._leave(level) if level.is_delimited else level
        if tag == SEQUENCE_END and level.is_delimited:
            return self._leave(level)  # without the item's own delimiter
        raise Damaged("A sequence is damaged: its items are not where they should be.")

    def _leave(self, level: OpenDataset) -> OpenDataset | None:
        """End a level: the level to go on with, None when the whole data set is read."""
        level.sort()
        if level.sequence is not None:
            return self._next_item(
                level.sequence, level.position if level.is_delimited else level.end
            )
        if self.pixels is None and any(self._data[level.position :].tobytes()):
            raise cut_off("the last element", level.position + 8, level.end)
        return None

    def _recovered(self, level: OpenDataset, damage: Damaged) -> OpenDataset | None:
        """Go on behind the innermost sequence of known length, or give up."""
        sequence = level.sequence
        while sequence is not None and sequence.is_delimited:
            sequence = sequence.level.sequence
        if sequence is not None:
            return self._given_up(sequence)
        if level is self._root and self.pixels is not None and not self._is_element(level):
            level.position = level.end
            return self._leave(level)
        raise damage

    def _is_element(self, level: OpenDataset) -> bool:
        """Return True if the bytes behind the pixels look like another element, not garbage."""
        tag, _ = level.coding.tag_at(self._data, level.position)
        if f"{tag:08X}" <= level.last_key or tag == TRAILING_PADDING:
            return False
        if level.coding.explicit:
            code = bytes(self._data[level.position + 4 : level.position + 6])
            return code in level.coding.kinds_by_code
        return dictionary.PUBLIC[tag] != dictionary.UNKNOWN

    def _count(self) -> None:
        self._elements_left -= 1
        if self._elements_left < 0:
            raise InvalidInstance(
                f"The file has more than {MAX_ELEMENTS:,} elements.", FailureReason.OUT_OF_RESOURCES
            )
