"""Text in pictures: annotations (PS3.18 8.3.5.1.1), and tiles for instances without a picture."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lenticular.dicom import display_text, tags
from lenticular.dicom.model import Dataset
from lenticular.pixels.font_choice import LEGIBLE_UNIFONT, font, legible
from lenticular.pixels.render_options import Window
from lenticular.pixels.right_to_left import visual

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont, ImageFont

Array = NDArray[Any]

_SMALLEST, _USUAL, _LARGEST = 7, 11, 48
_BRIGHT = 160  # brightness from which letters are black
_LINES_IN_HEIGHT = 36
_LINE = 1.25  # of the height of the letters

# Repetition and echo time, slice thickness, voltage, tube current, flip angle, magnetic field.
_TECHNIQUE = {
    tags.REPETITION_TIME: "TR {} ms",
    tags.ECHO_TIME: "TE {} ms",
    tags.FLIP_ANGLE: "FA {} deg",
    tags.MAGNETIC_FIELD_STRENGTH: "{} T",
    tags.SLICE_THICKNESS: "SL {} mm",
    tags.KVP: "{} kV",
    tags.X_RAY_TUBE_CURRENT: "{} mA",
    tags.EXPOSURE: "{} mAs",
}


def annotated(
    picture: Array,
    dataset: Dataset,
    annotations: Sequence[str],
    frame_number: int | None = None,
    window: Window | None = None,
) -> Array:
    """Return the picture with the lines about the patient above, about the technique below."""
    from PIL import Image, ImageDraw

    if not annotations or picture.dtype != np.uint8:
        return picture
    image = Image.fromarray(np.ascontiguousarray(picture))
    draw = ImageDraw.Draw(image)
    blocks = {
        "patient": (patient_lines(dataset), 0.0),
        "technique": (technique_lines(dataset, frame_number, window), 1.0),
    }
    for annotation in annotations:
        lines, corner = blocks[annotation]
        _write(draw, picture, [legible(line) for line in lines], corner)
    return np.asarray(image)


def patient_lines(dataset: Dataset) -> list[str]:
    """Return the lines about the patient: name, id, birth date, sex."""
    born = display_text.text(dataset, tags.PATIENT_BIRTH_DATE)
    sex = display_text.text(dataset, tags.PATIENT_SEX)
    lines = [
        display_text.text(dataset, tags.PATIENT_NAME),
        display_text.text(dataset, tags.PATIENT_ID),
        "  ".join(filter(None, (f"* {born}" if born else "", sex))),
    ]
    return [line for line in lines if line]


def technique_lines(
    dataset: Dataset, frame_number: int | None = None, window: Window | None = None
) -> list[str]:
    """Return the lines about the acquisition: modality, numbers, date, parameters."""
    numbers = {"Series": tags.SERIES_NUMBER, "Image": tags.INSTANCE_NUMBER}
    named = [f"{name} {found}" for name, tag in numbers.items()
             if (found := display_text.text(dataset, tag))]  # fmt: skip
    if frame_number is not None:
        named.append(f"Frame {frame_number}")
    date_and_time = (display_text.text(dataset, tag) for tag in (tags.STUDY_DATE, tags.STUDY_TIME))
    made = [text.format(found) for tag, text in _TECHNIQUE.items()
            if (found := display_text.text(dataset, tag))]  # fmt: skip
    if window is not None:
        made.append(f"C {window.center:g}  W {window.width:g}")
    named_after = (tags.STUDY_DESCRIPTION, tags.SERIES_DESCRIPTION, tags.BODY_PART_EXAMINED)
    described = dict.fromkeys(display_text.text(dataset, tag) for tag in named_after)
    groups = ([display_text.text(dataset, tags.MODALITY), *named], date_and_time, described, made)
    return [line for group in groups if (line := "  ".join(filter(None, group)))]


def tile(word: str, side: int) -> Array:
    """Return a neutral tile with a word for the content: a document, a report, a video."""
    from PIL import Image, ImageDraw

    image = Image.new("L", (side, side), 24)
    draw = ImageDraw.Draw(image)
    margin = side // 5
    box = (margin * 1.25, margin * 0.75, side - margin * 1.25, side - margin * 0.75)
    draw.rounded_rectangle(box, side // 24, fill=56, outline=112, width=max(side // 100, 1))
    word = visual(legible(word, 16)) or "?"
    width = (box[2] - box[0]) * 0.8
    size = width / max(font(100, word).getlength(word) / 100, 0.1)
    letters = font(min(round(size), side // 5), word)
    draw.text((side / 2, side / 2), word, fill=216, font=letters, anchor="mm")
    return np.asarray(image)


def _write(draw: "ImageDraw", image: Array, lines: list[str], corner: float) -> None:
    """Write lines in a left corner, the upper (0) or the lower (1); cut off those too long."""
    height, width = image.shape[:2]
    if not lines:
        return
    text = "".join(lines)
    usual = _USUAL if text.isascii() else LEGIBLE_UNIFONT
    em = min(max(height / _LINES_IN_HEIGHT, usual), _LARGEST)
    widest = max(font(100, text).getlength(line) for line in lines) / 100
    em = max(min(em, width * 0.96 / max(widest, 0.1)), min(em, usual))
    em = max(min(em, height * 0.46 / (len(lines) * _LINE)), _SMALLEST)
    letters, margin = font(round(em), text), em / 3
    block = round(len(lines) * em * _LINE)
    top = round(margin if corner == 0 else height - margin - block)
    behind = image[max(top, 0) : top + block, : round(widest * em) + 1]
    ink, edge = (
        ("black", "white") if behind.size and behind.mean() > _BRIGHT else ("white", "black")
    )
    for number, line in enumerate(lines):
        position = (margin, top + number * em * _LINE)
        text = _cut(line, letters, width - margin)
        draw.text(position, text, fill=ink, font=letters, stroke_width=1, stroke_fill=edge)


def _cut(line: str, letters: "FreeTypeFont | ImageFont", width: float) -> str:
    """Return the line in visual order, cut off at the width."""
    while len(line) > 1 and letters.getlength(visual(line)) > width:
        line = line[:-1]
    return visual(line)
