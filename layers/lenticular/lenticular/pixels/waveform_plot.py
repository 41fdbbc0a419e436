"""Waveforms drawn as on paper: 25 mm a second and 10 mm a millivolt, on the grid of an ECG.

A page has a strip for each channel. A channel that is not in millivolts fills the height of its
strip, which names its range.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lenticular.pixels.font_choice import font, legible
from lenticular.pixels.right_to_left import visual
from lenticular.pixels.waveform import MAX_CHANNELS, Channel, Group

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

Array = NDArray[Any]

SECONDS = 10.0
SPEED, GAIN = 25, 10  # mm a second, mm a millivolt
_MM = 8  # pixels of a millimetre while drawing; half of that in the picture, for smooth curves
_LEFT, _RIGHT, _HEAD, _FOOT = 12, 5, 12, 8  # mm around the strips
_LEAST_STRIP, _GREATEST_STRIP = 15, 60  # mm
_LABEL = 4  # mm for the name of a strip
_ABSURD = 1e30  # larger than any measurement of a body in its unit
_MOST_HEIGHT = 800  # mm of a page

_PAPER, _FINE, _COARSE = (255, 253, 250), (250, 222, 216), (238, 176, 166)
_INK, _LETTERS = (16, 16, 32), (64, 64, 80)


@dataclass(frozen=True, slots=True)
class _Strip:
    """A channel, the position of its zero and the height of a unit, both in mm."""

    channel: Channel
    frequency: float
    top: float
    height: float
    middle: float
    scale: float


def draw_waveforms(groups: Sequence[Group]) -> Array:
    """Return a page with each group that lasts about as long as the longest, one below another."""
    from PIL import Image, ImageDraw

    longest = max(group.duration for group in groups)
    shown = [group for group in groups if group.duration > 0.9 * min(longest, SECONDS)]
    seconds = min(longest, SECONDS)
    strips, height = _arranged(shown)
    width = max(_LEFT + seconds * SPEED + _RIGHT, 60)
    image = Image.new("RGB", (round(width * _MM), round((height + _FOOT) * _MM)), _PAPER)
    draw = ImageDraw.Draw(image)
    _draw_grid(draw, image.size)
    for strip in strips:
        _draw_strip(draw, strip)
    _draw_words(draw, shown, seconds, longest, height)
    return np.asarray(image.reduce(2))


def _arranged(groups: Sequence[Group]) -> tuple[list[_Strip], float]:
    """Return the strips, and where the last one ends (mm)."""
    strips: list[_Strip] = []
    top = float(_HEAD)
    channels = [(channel, group.frequency) for group in groups for channel in group.channels]
    channels = channels[:MAX_CHANNELS]
    most = max(_LEAST_STRIP, min(_GREATEST_STRIP, (_MOST_HEIGHT - _HEAD) / len(channels)))
    for channel, frequency in channels:
        known = channel.values[np.isfinite(channel.values)]
        low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)
        if high - low > _ABSURD or max(-low, high) > _ABSURD:
            low, high = 0.0, 0.0
        if channel.unit == "mV" and (high - low) * GAIN <= 10 * _GREATEST_STRIP:
            # The baseline of a curve is not always zero: amplifiers drift.
            low, high = min(low, 0.0) if low < 2 else low, max(high, 0.0) if high > -2 else high
            height = float(np.clip((high - low) * GAIN + _LABEL + 2, _LEAST_STRIP, most))
            scale = float(GAIN)
        else:
            height = float(min(25, most))
            scale = (height - _LABEL - 2) / (high - low) if high > low else 0.0
        middle = top + (height + _LABEL) / 2 + (high + low) / 2 * scale
        strips.append(_Strip(channel, frequency, top, height, middle, scale))
        top += height
    return strips, top


def _draw_grid(draw: "ImageDraw", size: tuple[int, int]) -> None:
    """Draw the grid."""
    width, height = size
    for step, colour, thickness in ((1, _FINE, 1), (5, _COARSE, 2)):
        for x in range(0, width, step * _MM):
            draw.line((x, 0, x, height), fill=colour, width=thickness)
        for y in range(0, height, step * _MM):
            draw.line((0, y, width, y), fill=colour, width=thickness)


def _draw_strip(draw: "ImageDraw", strip: _Strip) -> None:
    """Draw the curve, its name, and its scale before it."""
    channel = strip.channel
    if channel.unit == "mV" and strip.scale == GAIN:
        _draw_pulse(draw, strip)
    label = visual(legible(_label(strip)))
    draw.text(
        ((_LEFT + 1) * _MM, (strip.top + 0.5) * _MM),
        label,
        fill=_LETTERS,
        font=font(3 * _MM, label),
        stroke_width=3,
        stroke_fill=_PAPER,
    )
    positions = np.arange(len(channel.values)) / strip.frequency * SPEED + _LEFT
    with np.errstate(all="ignore"):
        heights = strip.middle - channel.values * strip.scale
    heights = np.clip(heights, strip.top - strip.height / 2, strip.top + strip.height * 1.5)
    points = np.stack((positions, heights), axis=1) * _MM
    gaps = np.flatnonzero(~np.isfinite(heights))
    for run in np.split(points, gaps):
        finite = run[np.isfinite(run[:, 1])]
        if len(finite) > 1:
            draw.line(finite.ravel().tolist(), fill=_INK, width=3)


def _draw_pulse(draw: "ImageDraw", strip: _Strip) -> None:
    """Draw a millivolt for a fifth of a second, as electrocardiographs do first."""
    foot = strip.middle
    middle = strip.top + strip.height / 2
    if not strip.top + GAIN <= foot <= strip.top + strip.height:
        foot = middle + GAIN / 2
    corners = [(2, foot), (4, foot), (4, foot - GAIN), (9, foot - GAIN), (9, foot), (11, foot)]
    draw.line([(x * _MM, y * _MM) for x, y in corners], fill=_INK, width=3)


def _label(strip: _Strip) -> str:
    """Return the name of a strip."""
    channel = strip.channel
    if channel.unit == "mV" and strip.scale == GAIN:
        return channel.label
    known = channel.values[np.isfinite(channel.values)]
    if not known.size:
        return f"{channel.label}  (no values)"
    return f"{channel.label}  {known.min():.4g} to {known.max():.4g} {channel.unit}"


def _draw_words(
    draw: "ImageDraw", groups: Sequence[Group], seconds: float, longest: float, height: float
) -> None:
    """Draw the title above the strips, and the scales below."""
    titles = [group.label for group in groups if group.label]
    part = f"{seconds:.4g} s"
    if longest > seconds * 1.01:
        part = f"first {part} of {longest:.6g} s"
    head = "   ".join([*dict.fromkeys(titles), f"{groups[0].frequency:g} Hz", part])
    units = {channel.unit for group in groups for channel in group.channels}
    foot = f"{SPEED} mm/s" + (f"   {GAIN} mm/mV" if "mV" in units else "")
    for words, y in ((head, 4.0), (foot, height + 2)):
        line = visual(legible(words))
        draw.text(
            (2 * _MM, y * _MM), line, fill=_LETTERS, font=font(28, line),
            stroke_width=3, stroke_fill=_PAPER,
        )  # fmt: skip
