"""Bytes, texts and JSON that are nearly right: what the fuzzer makes of good ones."""

import random
from typing import Any
from urllib.parse import quote

NASTY = [
    b"\xff\xff\xff\xff", b"\xfe\xff\xff\xff", b"\xff\xff", b"\0\0", b"\0\0\0\x80", b"\0", b"\n",
    b"\xfe\xff\x00\xe0", b"\xfe\xff\x0d\xe0", b"\xfe\xff\xdd\xe0", b"\xe0\x7f\x10\x00", b"\r\n\r\n",
    b"SQ", b"UN", b"OB", b"UT", b"PN", b"DS", b"  ", b"\\", b"\x1b$B", b"--", b'"', b"{", b"<",
]  # fmt: skip
WORDS = [
    "", "*", "?", "x", "-1", "0", "1", "2", "1.5", "1e99", "NaN", "99999999999999999999", "null",
    "true", "false", "all", "2.25.1", "1.2.3", "../..", "%", "%s", "\\", "a\\b", "a,b", "a=b=c",
    "^", "é", "山", "\0", "\x1b", "\ud83d\udc00".encode("utf-16", "surrogatepass").decode("utf-16"),
    "LINEAR", "SIGMOID", "CIRCULAR", "POLYLINE", "ELLIPSE", "DISPLAY", "PIXEL", "MATRIX", "Y", "N",
    "TRUE SIZE", "MAGNIFY", "INVERSE", "US", "\\r\\n", "20240229", "20240101-20241231",
    "-20241231", "101112.5", "20240229101112+0100", '""', "'", '"',
    "1,2", "1,1,1", "40,80", "40,80,sigmoid", "8,8", "8,8,1,1,-4,4", "image/png", "image/gif",
    "application/dicom", "*/*", "CT", "Doe*", "Doe^Jane", "PatientName", "00100010", "7FE00010",
    "00081140/0/00081150", "yes", "no", "srgb", "WADO", "UTF-8", "patient,technique",
]  # fmt: skip
"""What parameters, headers and pieces of paths are tried with."""

NUMBERS = (0, -1, 1, 2, 7, 16, 255, 65535, -32768, 2**31 - 1, 2**31, 2**63, 1e30, 1e300, 0.5, -1e-9)


def damaged(rng: random.Random, content: bytes, most: int = 6) -> bytes:
    """The content after up to so many changes, mostly in its head."""
    changed = bytearray(content)
    for _ in range(rng.randint(1, most)):
        position = int(rng.random() ** rng.choice((1, 3)) * len(changed))
        piece = rng.choice(NASTY) if rng.random() < 0.6 else rng.randbytes(rng.randint(1, 4))
        change = rng.choice(("put", "put", "put", "bit", "take", "add", "again", "cut"))
        if change == "put":
            changed[position : position + len(piece)] = piece
        elif change == "bit" and position < len(changed):
            changed[position] ^= 1 << rng.randrange(8)
        elif change == "take":
            del changed[position : position + rng.choice((1, 2, 8, 100))]
        elif change == "add":
            changed[position:position] = piece
        elif change == "again":
            changed[position:position] = changed[position : position + rng.choice((8, 64, 1000))]
        elif change == "cut" and rng.random() < 0.3:
            del changed[position:]
    return bytes(changed)


def spliced(rng: random.Random, one: bytes, other: bytes) -> bytes:
    """The beginning of one and the end of the other."""
    return one[: rng.randrange(len(one) + 1)] + other[rng.randrange(len(other) + 1) :]


def word(rng: random.Random) -> str:
    """What a value may be, or is not."""
    chosen = rng.choice(WORDS)
    if rng.random() < 0.15:
        chosen += rng.choice(WORDS)
    return chosen * rng.choice((2, 50, 1000)) if rng.random() < 0.02 else chosen


def escaped(rng: random.Random, text: str) -> str:
    """The text in a URL, properly or nearly so."""
    if rng.random() < 0.05:
        return rng.choice(("%00", "%FF", "%", "%2F..%2F", "%ED%A0%80"))
    return quote(text, safe=rng.choice(("", "/,*")), errors="replace")


def value(rng: random.Random, depth: int = 0) -> Any:
    """Any JSON."""
    kind = rng.randrange(8 if depth < 3 else 6)
    if kind < 3:
        return word(rng)
    if kind == 6:
        return [value(rng, depth + 1) for _ in range(rng.randrange(4))]
    if kind == 7:
        return {word(rng): value(rng, depth + 1) for _ in range(rng.randrange(4))}
    return rng.choice((*NUMBERS, True, False, None))


def altered(rng: random.Random, document: Any) -> Any:
    """The JSON with something in it that is something else, left out, or there twice."""
    if isinstance(document, int | float | str) and rng.random() < 0.8:
        return word(rng) if isinstance(document, str) else rng.choice(NUMBERS)
    if not isinstance(document, dict | list) or not document or rng.random() < 0.05:
        return value(rng)
    if isinstance(document, list):
        index = rng.randrange(len(document))
        changed = [*document[:index], altered(rng, document[index]), *document[index + 1 :]]
        return changed + changed[:1] if rng.random() < 0.1 else changed
    key = rng.choice(sorted(document))
    kept = dict(document)
    old = kept.pop(key)
    if rng.random() < 0.1:
        return kept
    name = rng.choice((word(rng), key.lower(), key[:4])) if rng.random() < 0.1 else key
    return {**kept, name: altered(rng, old)}
