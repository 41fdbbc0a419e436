"""The folding of text for matching: case, accents and width make no difference.

The index and its searches use the same folding, so that every database gives the same results
(PS3.4 C.2.2.2.1 leaves case and accents to us). Marks that distinguish words in their script stay:
the voicing marks of kana, Hangul, the vowel signs of Indic scripts and Thai.
"""

import unicodedata

# Marks that readers of the script leave out: accents on Latin, Greek and Cyrillic letters (all
# in the general blocks of combining marks), Hebrew points, Arabic vowel signs and hamza above.
_OPTIONAL_MARKS = [
    range(0x0300, 0x0370),
    range(0x0483, 0x0488),
    range(0x0591, 0x05BE),
    *(range(point, point + 1) for point in (0x05BF, 0x05C1, 0x05C2, 0x05C4, 0x05C5, 0x05C7)),
    range(0x0610, 0x061B),
    range(0x064B, 0x0660),
    range(0x0670, 0x0671),
    range(0x06D6, 0x06DD),
    range(0x06DF, 0x06E5),
    range(0x06E7, 0x06E9),
    range(0x06EA, 0x06EE),
    range(0x1AB0, 0x1B00),
    range(0x1DC0, 0x1E00),
    range(0x20D0, 0x2100),
    range(0xFE20, 0xFE30),
]
_TATWEEL = 0x0640
_INVISIBLE = (0x00AD, 0x200B, 0x200C, 0x200D, 0x200E, 0x200F, 0x2060, 0xFEFF)

# Letters that Unicode does not decompose, though other keyboards have only the plain ones.
_PLAIN = {
    "æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ð": "d", "þ": "th", "ł": "l", "ħ": "h",
    "ŧ": "t", "\u0131": "i", "ƀ": "b", "ɨ": "i", "ƶ": "z", "ǥ": "g", "ŋ": "n", "ĸ": "k",
}  # fmt: skip

_SIMPLER: dict[int, str | None] = {
    **dict.fromkeys((point for marks in _OPTIONAL_MARKS for point in marks), None),
    **dict.fromkeys((_TATWEEL, *_INVISIBLE), None),
    **{ord(letter): plain for letter, plain in _PLAIN.items()},
}


def fold(value: str) -> str:
    """Return the value as it is compared; folding twice changes nothing."""
    if value.isascii():
        return value.strip().lower()
    # Width and compatibility first, because they can produce capitals and accents.
    compatible = unicodedata.normalize("NFKC", value).casefold()
    simpler = unicodedata.normalize("NFKD", compatible).translate(_SIMPLER)
    return unicodedata.normalize("NFC", simpler).strip()
