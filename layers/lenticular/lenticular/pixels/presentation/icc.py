"""Colours and their ICC profiles, PS3.18 8.3.5.1.5 and PS3.3 C.11.15.

The profiles of the spaces that a client may name are made here from their published primaries and
curves (ICC.1 v2, matrix and curves), because no library includes Adobe RGB or ROMM RGB.
"""

import io
import struct
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lenticular.dicom.model import Dataset
from lenticular.dicom.tags import ICC_PROFILE, OPTICAL_PATH_SEQUENCE
from lenticular.pixels.dataset_values import BulkReader, content, item

if TYPE_CHECKING:
    from PIL.ImageCms import ImageCmsProfile

Array = NDArray[Any]


_D50 = (0.9642, 1.0, 0.8249)
_D65 = (0.3127, 0.3290)
_CURVE_POINTS = 1024
_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)


def _srgb_curve(values: Array) -> Array:
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def _adobe_curve(values: Array) -> Array:
    return np.asarray(values ** (563 / 256))


def _romm_curve(values: Array) -> Array:
    return np.where(values < 16 / 512, values / 16, values**1.8)


# Red, green and blue, white (x and y each), and the curve to linear light: IEC 61966-2-1, Adobe RGB
# (1998), ISO 22028-2, and SMPTE EG 432-1 with the curve of sRGB.
_SPACES: dict[str, tuple[str, tuple[tuple[float, float], ...], Callable[[Array], Array]]] = {
    "srgb": ("sRGB", ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06), _D65), _srgb_curve),
    "adobergb": ("Adobe RGB", ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06), _D65), _adobe_curve),
    "rommrgb": (
        "ROMM RGB",
        ((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001), (0.3457, 0.3585)),
        _romm_curve,
    ),
    "displayp3": ("Display P3", ((0.68, 0.32), (0.265, 0.69), (0.15, 0.06), _D65), _srgb_curve),
}


def with_colours(
    picture: Array, attributes: Dataset, bulk: BulkReader, wanted: str
) -> tuple[Array, bytes | None]:
    """Return the picture in the wanted space, and the profile of that space.

    `yes` keeps the space of the file. Greys, and images without a space, count as sRGB.
    """
    if wanted == "no":
        return picture, None
    if picture.ndim == 2:
        picture = np.repeat(picture[:, :, None], 3, axis=2)
    own = _own_profile(attributes, bulk)
    if wanted == "yes":
        return picture, own or profile("srgb")
    return _converted(picture, own or profile("srgb"), profile(wanted)), profile(wanted)


@cache
def profile(space: str) -> bytes:
    """Return the ICC profile of a space that a client may name."""
    name, primaries, curve = _SPACES[space]
    table = np.round(curve(np.linspace(0, 1, _CURVE_POINTS)) * 65535).astype(">u2").tobytes()
    points = b"curv" + struct.pack(">II", 0, _CURVE_POINTS) + table
    tags = {b"desc": _description(name), b"cprt": b"text\0\0\0\0No copyright, use freely\0"}
    tags[b"wtpt"] = _xyz(_D50)
    for letter, column in zip(b"rgb", _colorants(*primaries).T, strict=True):
        tags[bytes((letter,)) + b"XYZ"] = _xyz(column)
        tags[bytes((letter,)) + b"TRC"] = points
    return _file(tags)


def _own_profile(attributes: Dataset, bulk: BulkReader) -> bytes | None:
    """Return the profile of the image or of its first optical path, if it is for RGB."""
    for dataset in (attributes, item(attributes, OPTICAL_PATH_SEQUENCE) or {}):
        found = content(dataset, ICC_PROFILE, bulk)
        if found and _opened(found) is not None:
            return found
    return None


def _opened(data: bytes) -> "ImageCmsProfile | None":
    """Return a profile, None if it cannot be read."""
    from PIL.ImageCms import ImageCmsProfile

    try:
        opened = ImageCmsProfile(io.BytesIO(data))
    except (OSError, TypeError, ValueError):
        return None
    return opened if opened.profile.xcolor_space.strip() == "RGB" else None


def _converted(picture: Array, source: bytes, target: bytes) -> Array:
    """Return the picture converted from one profile to another."""
    from PIL import Image
    from PIL.ImageCms import Intent, PyCMSError, profileToProfile

    if source == target:
        return picture
    image = Image.fromarray(np.ascontiguousarray(picture))
    profiles = _opened(source), _opened(target)
    for intent in (Intent.PERCEPTUAL, Intent.RELATIVE_COLORIMETRIC):
        try:
            return np.asarray(profileToProfile(image, *profiles, renderingIntent=intent))  # type: ignore[arg-type]
        except PyCMSError:  # the profile of a camera may lack this intent
            continue
    return picture


def _colorants(*points: tuple[float, float]) -> Array:
    """Return the primaries as columns of XYZ, adapted to D50, the white of ICC profiles."""
    *primaries, white = (np.array([x / y, 1.0, (1 - x - y) / y]) for x, y in points)
    matrix = np.array(primaries).T
    matrix = matrix * np.linalg.solve(matrix, white)
    cones = (_BRADFORD @ _D50) / (_BRADFORD @ white)
    adaptation = np.linalg.inv(_BRADFORD) @ np.diag(cones) @ _BRADFORD
    return np.asarray(adaptation @ matrix)


def _xyz(values: Any) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(float(v) * 65536) for v in values))


def _description(name: str) -> bytes:
    text = name.encode() + b"\0"
    return b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + bytes(78)


def _file(tags: dict[bytes, bytes]) -> bytes:
    """Return header, tag table and data, each datum once and on a multiple of four."""
    offsets: dict[bytes, int] = {}
    body, start = b"", 128 + 4 + 12 * len(tags)
    for datum in tags.values():
        if datum not in offsets:
            offsets[datum] = start + len(body)
            body += datum + bytes(-len(datum) % 4)
    table = b"".join(
        struct.pack(">4sII", name, offsets[datum], len(datum)) for name, datum in tags.items()
    )
    header = struct.pack(">I4x4s4s4s4s12x4s", start + len(body), b"\x02\x40\0\0", *_CLASS, b"acsp")
    header = header.ljust(68, b"\0") + struct.pack(">3i", *(round(v * 65536) for v in _D50))
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


_CLASS = (b"mntr", b"RGB ", b"XYZ ")
