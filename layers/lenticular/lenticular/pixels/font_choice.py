"""Fonts for letters of every script in pictures.

Text of ASCII alone is drawn in Pillow's own font, any other in GNU Unifont, which is packaged here,
so that a picture is the same on every machine. For the same reason Pillow lays out letter by
letter: it needs a library of the system for more (`right_to_left.py`).
"""

import unicodedata
from functools import lru_cache
from importlib import resources
from io import BytesIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont, ImageFont

MISSING = "\ufffd"
"""The sign for a letter that no font here has."""

LONGEST = 64
LEGIBLE_UNIFONT = 16
"""Pixels of an em: Unifont is made of dots on a grid of this size."""

RANGES = (
    *((0x20, 0x7E), (0xA0, 0x6FF), (0x750, 0x77F), (0x900, 0xEFF), (0x10A0, 0x11FF)),
    *((0x1E00, 0x22FF), (0x2460, 0x24FF), (0x25A0, 0x26FF), (0x3000, 0x318F), (0x31F0, 0x4DBF)),
    *((0x4E00, 0x9FFF), (0xAC00, 0xD7A3), (0xF900, 0xFAFF), (0xFB1D, 0xFDFF), (0xFE30, 0xFE4F)),
    *((0xFE70, 0xFEFF), (0xFF00, 0xFFEF), (0xFFFD, 0xFFFD)),
)  # fmt: skip
"""The letters that the packaged font has, first and last of each range."""


def legible(text: str, longest: int = LONGEST) -> str:
    """Return the text in letters that the fonts have, in reading order."""
    composed = unicodedata.normalize("NFC", text)[:longest]
    return "".join(map(_legible_letter, composed))


def font(size: int, text: str = "") -> "FreeTypeFont | ImageFont":
    """Return the font for this text, with an em of this size in pixels."""
    return _pillow_font(max(size, 1)) if text.isascii() else _unifont(max(size, 1))


@lru_cache(maxsize=64)
def _pillow_font(size: int) -> "FreeTypeFont | ImageFont":
    """Return Pillow's own font."""
    from PIL import ImageFont

    return ImageFont.load_default(size)


@lru_cache(maxsize=64)
def _unifont(size: int) -> "FreeTypeFont":
    """Return GNU Unifont."""
    from PIL import ImageFont

    file = resources.files("lenticular.pixels").joinpath("fonts", "unifont.woff2")
    opened = BytesIO(file.read_bytes())
    return ImageFont.truetype(opened, size, layout_engine=ImageFont.Layout.BASIC)


def _legible_letter(letter: str) -> str:
    """Return the letter, nothing for a control character, or a sign for a missing one."""
    category = unicodedata.category(letter)
    if category in ("Cc", "Cf"):
        return " " if category == "Cc" else ""
    is_drawn = any(first <= ord(letter) <= last for first, last in RANGES)
    return letter if is_drawn and category not in ("Cn", "Co", "Cs") else MISSING
