"""Character sets: bytes of text to Unicode, PS3.5 6.1 and PS3.3 C.12.1.1.2.

Decoding never fails. If the declared character set cannot be right, likely ones are tried (UTF-8
without a declaration, escape sequences without an announcement) before characters are replaced: a
readable name matters more than strict decoding.
"""

import re
from functools import lru_cache

_ESCAPES = re.compile(rb"(\x1b[ -/]+[0-~])")
_HALVES = re.compile(rb"[\x80-\xff]+|[\x00-\x7f]+")
# Bytes at which an escape sequence ends (PS3.5 6.1.2.5.3): line and page ends, the delimiters.
_RESETS = re.compile(rb"[\t\n\f\r\\]")
_RESETS_IN_NAMES = re.compile(rb"[\t\n\f\r\\^=]")

# The number of a Defined Term and Python's codec for it, PS3.3 Tables C.12-2 to C.12-4. Some are
# supersets of the declared set: they read the same bytes the same way, and some stray ones too.
_BY_NUMBER = {
    "6": "ascii",
    "13": "shift_jis",
    "58": "gbk",
    "100": "latin_1",
    "101": "iso8859_2",
    "109": "iso8859_3",
    "110": "iso8859_4",
    "126": "iso8859_7",
    "127": "iso8859_6",
    "138": "iso8859_8",
    "144": "iso8859_5",
    "148": "iso8859_9",
    "149": "cp949",
    "166": "tis_620",
    "203": "iso8859_15",
}
# Terms that exist only with code extensions, or only without (Table C.12-5), and misspelt ones.
_CODECS = {
    **{f"ISOIR{number}": codec for number, codec in _BY_NUMBER.items()},
    **{f"ISO2022IR{number}": codec for number, codec in _BY_NUMBER.items()},
    "ISO2022IR87": "iso2022_jp",
    "ISO2022IR159": "iso2022_jp_2",
    "ISOIR192": "utf-8",
    "UTF8": "utf-8",
    "GB18030": "gb18030",
    **dict.fromkeys(("GBK", "ISO2022GBK", "GB2312", "ISO202258"), "gbk"),
}
_DEFAULT_CODEC = "ascii"
# No more terms of a file are looked at, or cached.
_MOST_TERMS = 16
_LONGEST_TERM = 32

# Escape sequences that change the upper half (G1) of the code table, PS3.3 Tables C.12-3 and -4.
_UPPER = {
    b"\x1b-A": "latin_1",
    b"\x1b-B": "iso8859_2",
    b"\x1b-C": "iso8859_3",
    b"\x1b-D": "iso8859_4",
    b"\x1b-F": "iso8859_7",
    b"\x1b-G": "iso8859_6",
    b"\x1b-H": "iso8859_8",
    b"\x1b-L": "iso8859_5",
    b"\x1b-M": "iso8859_9",
    b"\x1b-T": "tis_620",
    b"\x1b-b": "iso8859_15",
    b"\x1b)I": "shift_jis",
    b"\x1b$)C": "cp949",
    b"\x1b$)A": "gbk",
}
# Those that change the lower half (G0). Python's codec decodes the text behind; ASCII needs none.
_LOWER_ASCII = (b"\x1b(B", b"\x1b(J")
_LOWER = (b"\x1b$B", b"\x1b$@", b"\x1b$(D", b"\x1b(I")


class CharacterSet:
    """The character set of a data set's text."""

    def __init__(self, terms: tuple[str, ...]) -> None:
        codecs = [_codec(term) for term in terms]
        first = codecs[0] if codecs else None
        # In JIS X 0208 and 0212 nothing is written without an escape sequence.
        self._codec = None if first in (_DEFAULT_CODEC, "iso2022_jp", "iso2022_jp_2") else first
        self._others = [codec for codec in codecs[1:] if codec in ("gbk", "cp949", "shift_jis")]

    def decode(self, raw: bytes) -> str:
        """Return the text of a value in which a backslash separates values."""
        if b"\x1b" in raw:
            return self._decode_extended(raw, _RESETS)
        return raw.decode("ascii") if raw.isascii() else self._decode_upper(raw, self._codec)

    def decode_name(self, raw: bytes) -> str:
        """Return the text of a person name, in which `^` and `=` end an escape sequence too."""
        if b"\x1b" in raw:
            return self._decode_extended(raw, _RESETS_IN_NAMES)
        return raw.decode("ascii") if raw.isascii() else self._decode_upper(raw, self._codec)

    def _decode_extended(self, raw: bytes, resets: re.Pattern[bytes]) -> str:
        """Decode text with ISO 2022 escape sequences."""
        lower, upper = b"", self._codec
        text = []
        for piece in _ESCAPES.split(raw):
            if piece in _UPPER:
                upper = _UPPER[piece]
            elif piece in _LOWER:
                lower = piece
            elif piece in _LOWER_ASCII:
                lower = b""
            elif not _ESCAPES.fullmatch(piece):
                for run in _HALVES.findall(piece):
                    text.append(self._decode_run(run, lower, upper))
                    if not lower and resets.search(run):
                        upper = self._codec
        return "".join(text)

    def _decode_run(self, run: bytes, lower: bytes, upper: str | None) -> str:
        """Decode the text between two escape sequences."""
        if run[0] >= 0x80:
            return self._decode_upper(run, upper)
        if lower:
            return (lower + run).decode("iso2022_jp_ext", "replace")
        return run.decode("ascii")

    def _decode_upper(self, raw: bytes, codec: str | None) -> str:
        """Decode text with bytes above 127: by the codec, else by the likely one."""
        candidates = ["utf-8", *self._others, "latin_1"] if codec is None else [codec, "utf-8"]
        for candidate in candidates:
            try:
                return raw.decode(candidate)
            except UnicodeDecodeError:
                continue
        return _salvaged(raw, codec or "latin_1")


def _codec(term: str) -> str | None:
    """Return Python's codec for a Defined Term, spelled as in the standard or nearly so."""
    return _CODECS.get(re.sub("[ _-]", "", term.upper()))


def _salvaged(raw: bytes, codec: str) -> str:
    """Decode as much as possible of bytes that are not valid in the codec."""
    if codec == "utf-8" and raw.decode("utf-8", "ignore").isascii():
        return raw.decode("latin_1")  # no character of it was UTF-8: an older set, not declared
    return raw.decode(codec, "replace")


def character_set(terms: tuple[str, ...]) -> CharacterSet:
    """Return the character set for the values of Specific Character Set (0008,0005)."""
    return _cached(tuple(term[:_LONGEST_TERM] for term in terms[:_MOST_TERMS]))


@lru_cache(maxsize=256)
def _cached(terms: tuple[str, ...]) -> CharacterSet:
    """Return the character set of these terms, cached."""
    return CharacterSet(terms)


DEFAULT = character_set(())
