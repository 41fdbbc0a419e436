"""Waveforms: samples in their units, PS3.3 C.10.9.

Only the samples that are shown are read; a recording of a day is as quick as one of ten seconds.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lenticular.dicom import display_text, tags
from lenticular.dicom.model import Dataset
from lenticular.errors import NotRenderable
from lenticular.pixels.dataset_values import code, content, integer, number

Array = NDArray[Any]
Reader = Callable[[str, int], bytes]
"""Returns the beginning of a value outside the dataset: `read(path, bytes)`, little-endian."""

MAX_CHANNELS = 64
_MAX_VALUES = 2_000_000
# Sample interpretations, without the companded ones (MB, AB), which are recordings of voices.
_TYPES = {"SB": "i1", "UB": "u1", "SS": "<i2", "US": "<u2", "SL": "<i4", "UL": "<u4"}
_MILLIVOLTS = {"uV": 1e-3, "mV": 1.0, "V": 1e3}


@dataclass(frozen=True, slots=True)
class Channel:
    """One curve; its values are in `unit`, NaN where nothing was recorded."""

    label: str
    unit: str
    values: Array


@dataclass(frozen=True, slots=True)
class Group:
    """Channels that were sampled together; `duration` is that of the recording in seconds."""

    label: str
    frequency: float
    duration: float
    channels: tuple[Channel, ...]


def read_groups(dataset: Dataset, bulk: Reader, seconds: float) -> list[Group]:
    """Return the multiplex groups of an instance, the first seconds of each."""
    groups: list[Group] = []
    for item in display_text.items(dataset, tags.WAVEFORM_SEQUENCE):
        group = _group(item, bulk, seconds)
        if group is not None:
            groups.append(group)
        if sum(len(group.channels) for group in groups) >= MAX_CHANNELS:
            break
    if not groups:
        raise NotRenderable("The instance holds no waveform that can be drawn.")
    return groups


def _group(group: Dataset, bulk: Reader, seconds: float) -> Group | None:
    """Return a multiplex group; None if it cannot be read."""
    channels, samples = (
        integer(group, tags.NUMBER_OF_WAVEFORM_CHANNELS) or 0,
        integer(group, tags.NUMBER_OF_WAVEFORM_SAMPLES) or 0,
    )
    frequency = number(group, tags.SAMPLING_FREQUENCY) or 0.0
    if not 0 < channels <= MAX_CHANNELS or samples < 1 or frequency <= 0:
        return None
    shown = min(samples, max(round(min(seconds * frequency, samples)), 1), _MAX_VALUES // channels)
    table = _samples(group, bulk, channels, shown)
    if table is None:
        return None
    definitions = [
        *display_text.items(group, tags.CHANNEL_DEFINITION_SEQUENCE),
        *({} for _ in range(channels)),
    ]
    curves = [
        _channel(definition, column, f"{index}")
        for index, (definition, column) in enumerate(
            zip(definitions[:channels], table.T, strict=True), 1
        )
    ]
    label = display_text.text(group, tags.MULTIPLEX_GROUP_LABEL)
    return Group(label, frequency, samples / frequency, tuple(curves))


def _samples(group: Dataset, bulk: Reader, channels: int, shown: int) -> Array | None:
    """Return the samples as stored: a row for each sampling time, NaN for padding."""
    if code(group, tags.WAVEFORM_SAMPLE_INTERPRETATION) not in _TYPES:
        return None
    dtype = np.dtype(_TYPES[code(group, tags.WAVEFORM_SAMPLE_INTERPRETATION)])
    size = shown * channels * dtype.itemsize
    data = content(group, tags.WAVEFORM_DATA, lambda path: bulk(path, size))[:size]
    times = len(data) // (channels * dtype.itemsize)
    if not times:
        return None
    stored = np.frombuffer(data, dtype, times * channels).reshape(times, channels)
    table = stored.astype(np.float64)
    padding = content(group, tags.WAVEFORM_PADDING_VALUE, lambda _: b"")
    if len(padding) >= dtype.itemsize:
        table[stored == np.frombuffer(padding, dtype, 1)[0]] = np.nan
    return table


def _channel(definition: Dataset, samples: Array, index: str) -> Channel:
    """Return a curve in the units of its sensitivity (PS3.3 C.10.9.1.4.2)."""
    sensitivity, correction = (
        number(definition, tags.CHANNEL_SENSITIVITY),
        number(definition, tags.CHANNEL_SENSITIVITY_CORRECTION_FACTOR),
    )
    baseline = number(definition, tags.CHANNEL_BASELINE) or 0.0
    label = (
        display_text.text(definition, tags.CHANNEL_LABEL)
        or display_text.meaning(definition, tags.CHANNEL_SOURCE_SEQUENCE)
        or index
    )
    if sensitivity is None:
        return Channel(label, "", samples)
    (unit, *_) = (*display_text.items(definition, tags.CHANNEL_SENSITIVITY_UNITS_SEQUENCE), {})
    name = display_text.text(unit, tags.CODE_VALUE)
    with np.errstate(all="ignore"):
        values = samples * sensitivity * (correction or 1.0) + baseline
    if name in _MILLIVOLTS:
        return Channel(label, "mV", values * _MILLIVOLTS[name])
    return Channel(label, name, values)
