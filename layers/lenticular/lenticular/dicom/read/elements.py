"""The data set of a file, read in one pass into the DICOM JSON Model, PS3.5 7 and PS3.18 Annex F.

The reader has a stack of its own, so nesting of any depth is read. It reads element headers and
small values only: pixels and other bulk data are skipped, and their positions noted. A sequence of
known length that is damaged inside becomes bytes; damage anywhere else is refused.
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
from lenticular.dicom.read.limits import ReadLimits
from lenticular.dicom.read.vr_decode import WORD_BYTES, VrCodec
from lenticular.errors import FailureReason, InvalidInstance

MAX_JSON_DEPTH = 64
"""Sequences inside sequences that the JSON shows; JSON readers give up soon beyond it (orjson at
84). A deeper sequence is bulk data, of VR UN as any value that is not parsed."""

PIXEL_TAGS = frozenset({tags.FLOAT_PIXEL_DATA, tags.DOUBLE_FLOAT_PIXEL_DATA, tags.PIXEL_DATA})
_OFFSET_TABLES = frozenset({tags.EXTENDED_OFFSET_TABLE, tags.EXTENDED_OFFSET_TABLE_LENGTHS})

_SMALL = 64  # bytes; a plain value up to this size is read in the inner loop


class ElementReader:
    """Reads one data set; the result is in its attributes."""

    def __init__(
        self, data: memoryview, start: int, coding: Encoding, limits: ReadLimits = ReadLimits()
    ) -> None:
        self.dataset: Dataset = {}
        self.bulkdata: list[OpenBulk] = []
        self.pixels: OpenBulk | None = None
        self.fragments: Fragments | None = None
        self.offset_tables: dict[str, tuple[int, int]] = {}
        self.has_open_sequence = False
        self.is_big_endian = coding.order == ">"
        self._data = data
        self._max_elements = self._elements_left = limits.elements
        self._inline_left = limits.inline_bytes
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
        """Read elements until a sequence begins or the level ends; return the next level.

        This is the inner loop: it handles small plain values itself, and calls others for the rest.
        """
        data, end, dataset, character_set = (
            self._data,
            level.end,
            level.dataset,
            level.character_set,
        )
        coding, public = level.coding, dictionary.PUBLIC
        position = level.position
        while position + 8 <= end:
            if coding.explicit:
                group, number, code, length = coding.header(data, position)
                codec = coding.codecs_by_code.get(code)
            else:
                group, number, length = coding.tag_and_length(data, position)
                codec = coding.codecs.get(public[group << 16 | number])
            key = f"{group:04X}{number:04X}"
            stop = position + 8 + length
            if (
                codec is None
                or codec.has_long_header
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
                position, character_set = level.position, level.character_set
                continue
            self._elements_left -= 1
            try:
                value = codec.encode(data[position + 8 : stop].tobytes(), character_set)
            except ValueError:
                dataset[key] = self._element(level, key, coding.unknown, position + 8, length)
            else:
                dataset[key] = (
                    {"vr": codec.vr} if value is None else {"vr": codec.vr, "Value": value}
                )
            level.last_key = key
            position = stop
            if key == tags.SPECIFIC_CHARACTER_SET:
                character_set = self._change_character_set(level)
        level.position = position
        return self._leave(level)

    def _read_special(self, level: OpenDataset) -> OpenDataset | None:
        """Read one element that is not small and plain; return the next level."""
        self._count()
        tag, codec, coding, start, length = self._header(level)
        key = f"{tag:08X}"
        if tag >> 16 == DELIMITERS:
            return self._delimiter(level, tag, length)
        if level is self._root and self._ends_before(tag, key):
            level.position = level.end
        elif length == UNDEFINED:
            return self._read_delimited(level, key, codec, coding, start)
        elif start + length > level.end:
            raise cut_off(f"({tag >> 16:04X},{tag & 0xFFFF:04X})", start + length, level.end)
        elif not tag & 0xFFFF or key < "0003":
            # A group length, or an element of a message or of the file's head.
            level.position = start + length
        elif codec.vr == "SQ" and length:
            return self._open(level, key, coding, start, start + length)
        else:
            self._put(level, key, self._element(level, key, codec, start, length))
            level.position = start + length
        return level

    def _header(self, level: OpenDataset) -> tuple[int, VrCodec, Encoding, int, int]:
        """Return tag, codec, encoding of the value, start and length of the next element."""
        data, coding, position = self._data, level.coding, level.position
        tag, length = coding.tag_at(data, position)
        start = position + 8
        if not coding.explicit or tag >> 16 == DELIMITERS:
            codec = coding.codecs.get(dictionary.PUBLIC[tag], coding.unknown)
        else:
            codec, coding, start, length = coding.explicit_header(data, position, level.end)
        if codec.vr == "UN":
            codec = self._codec_from_dictionary(level, tag, coding)
        return tag, codec, coding, start, length

    def _codec_from_dictionary(self, level: OpenDataset, tag: int, coding: Encoding) -> VrCodec:
        if tag >> 16 & 1:
            vr = dictionary.private_vr(tag, level.dataset)
        else:
            sequence = "" if level.sequence is None else level.sequence.key
            around = level.datasets_outwards()
            vr = dictionary.resolve(tag, dictionary.PUBLIC[tag], around, sequence)
        return coding.codecs.get(vr, coding.unknown)

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
            self._change_character_set(level)

    def _change_character_set(self, level: OpenDataset) -> CharacterSet:
        """Read further text as (0008,0005) declares; the JSON itself is UTF-8 (PS3.18 F.2.2)."""
        element = level.dataset[tags.SPECIFIC_CHARACTER_SET]
        terms = element.get("Value")
        if terms is not None and element["vr"] == "CS":
            if level.coding.as_written:
                terms = terms[0].split("\\")
            else:
                element["Value"] = ["ISO_IR 192"]
            level.character_set = character_sets.character_set(
                tuple((term or "").strip() for term in terms)
            )
        return level.character_set

    def _element(
        self, level: OpenDataset, key: str, codec: VrCodec, start: int, length: int
    ) -> dict[str, Any]:
        """Return the JSON of an element with its value at this position."""
        is_root = level is self._root
        if is_root and key in _OFFSET_TABLES:
            self.offset_tables[key] = (start, length)
        if key in PIXEL_TAGS and length:
            return self._bulk(level, key, codec.vr, start, length)
        if length > codec.limit or (length > _SMALL and length > self._inline_left):
            return self._bulk(level, key, codec.vr, start, length)
        self._inline_left -= length
        try:
            value = codec.encode(self._data[start : start + length].tobytes(), level.character_set)
        except ValueError:
            # The VR cannot hold these bytes, so they become a value of unknown VR.
            return self._element(level, key, level.coding.unknown, start, length)
        return {"vr": codec.vr} if value is None else {"vr": codec.vr, codec.key: value}

    def _bulk(
        self, level: OpenDataset, key: str, vr: str, start: int, length: int
    ) -> dict[str, Any]:
        """Return an element without its value, whose position is noted for a BulkDataURI."""
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
        self, level: OpenDataset, key: str, codec: VrCodec, coding: Encoding, start: int
    ) -> OpenDataset | None:
        """Read a value of undefined length: encapsulated pixels or the like, else a sequence."""
        if key in PIXEL_TAGS or codec.vr in WORD_BYTES or codec.vr == "OB":
            fragments = scan(self._data, start, level.end, coding)
            vr = "OB" if key in PIXEL_TAGS else codec.vr  # PS3.5 A.4
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
        """Begin a sequence; one without a stop ends at its delimiter."""
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
        """Return True if the first item has an explicit element, although in a value of VR UN."""
        return bytes(self._data[start + 12 : start + 14]) in EXPLICIT_LITTLE.codecs_by_code

    def _next_item(self, sequence: OpenSequence, position: int) -> OpenDataset:
        """Begin the next item, or return to the level of a sequence that ends here."""
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
                raise Damaged("A sequence is damaged: there is something else between its items.")
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
            sequence.level.character_set,
            start,
            stop,
            sequence,
            is_delimited=length == UNDEFINED,
        )

    def _close(self, sequence: OpenSequence, stop: int, following: int) -> OpenDataset:
        if sequence.depth == MAX_JSON_DEPTH + 1:
            self._turn_into_bytes(sequence, stop)  # and with it all deeper levels
        elif sequence.items:
            sequence.element["Value"] = sequence.items
        sequence.level.position = following
        return sequence.level

    def _given_up(self, sequence: OpenSequence) -> OpenDataset:
        """Continue behind a sequence of known length that is damaged inside."""
        self._turn_into_bytes(sequence, sequence.end)
        sequence.level.position = sequence.end
        return sequence.level

    def _turn_into_bytes(self, sequence: OpenSequence, stop: int) -> None:
        """Turn a sequence into a value of unknown VR."""
        del self.bulkdata[sequence.bulkdata_before :]
        level, start = sequence.level, sequence.start
        level.dataset[sequence.key] = self._element(
            level, sequence.key, level.coding.unknown, start, stop - start
        )

    def _delimiter(self, level: OpenDataset, tag: int, length: int) -> OpenDataset | None:
        """Handle an item or a delimiter where an element should be."""
        if level is self._root and length <= level.end - level.position - 8:
            # The head of its sequence is lost, so its elements have no parent.
            level.position += 8 + length
            return level
        if tag == ITEM_END and level is not self._root:
            level.position += 8
            return self._leave(level) if level.is_delimited else level
        if tag == SEQUENCE_END and level.is_delimited:
            return self._leave(level)  # without the item's own delimiter
        raise Damaged("A sequence is damaged: its items are not where they should be.")

    def _leave(self, level: OpenDataset) -> OpenDataset | None:
        """End a level; return the next level, None when the whole data set is read."""
        level.sort()
        if level.sequence is not None:
            return self._next_item(
                level.sequence, level.position if level.is_delimited else level.end
            )
        if self.pixels is None and any(self._data[level.position :].tobytes()):
            raise cut_off("the last element", level.position + 8, level.end)
        return None

    def _recovered(self, level: OpenDataset, damage: Damaged) -> OpenDataset | None:
        """Continue behind the innermost sequence of known length, or raise the error."""
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
            return code in level.coding.codecs_by_code
        return dictionary.PUBLIC[tag] != dictionary.UNKNOWN

    def _count(self) -> None:
        self._elements_left -= 1
        if self._elements_left < 0:
            raise InvalidInstance(
                f"The file has more than {self._max_elements:,} elements.",
                FailureReason.OUT_OF_RESOURCES,
            )
