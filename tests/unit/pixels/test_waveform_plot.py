"""Waveforms on paper are to scale, and stay of a size whatever a file holds."""

import numpy as np
import pytest

from lenticular.errors import NotRenderable
from lenticular.pixels.waveform import Channel, Group, read_groups
from lenticular.pixels.waveform_plot import SECONDS, draw_waveforms

PIXELS_PER_MM = 4


def page(*curves: np.ndarray, unit: str = "mV", frequency: float = 100.0) -> np.ndarray:
    channels = tuple(Channel(f"{place}", unit, curve) for place, curve in enumerate(curves))
    return draw_waveforms([Group("", frequency, len(curves[0]) / frequency, channels)])


def ink(picture: np.ndarray) -> np.ndarray:
    """Where the curve is, behind the calibration pulse; words are lighter."""
    dark = picture.astype(int).sum(axis=2) < 180
    dark[:, : 13 * PIXELS_PER_MM] = False
    return dark


@pytest.mark.parametrize("height", [0.5, 1.0, 2.5])
def test_a_millivolt_is_ten_millimetres_high(height):
    curve = np.zeros(1000)
    curve[500:] = height

    rows = np.flatnonzero(ink(page(curve)).any(axis=1))

    assert np.ptp(rows) == pytest.approx(height * 10 * PIXELS_PER_MM, abs=3)


def test_a_second_is_25_millimetres_wide():
    curve = np.zeros(1000)
    curve[200:205] = curve[600:605] = 2.0

    drawn = ink(page(curve))
    peak = np.flatnonzero(drawn.any(axis=1))[0]
    columns = np.flatnonzero(drawn[peak])

    assert np.ptp(columns) == pytest.approx(4.05 * 25 * PIXELS_PER_MM, abs=4)


def test_a_drift_keeps_the_curve_within_its_strip():
    drawn = ink(page(np.sin(np.arange(1000) / 9) + 300))

    assert np.ptp(np.flatnonzero(drawn.any(axis=1))) == pytest.approx(20 * PIXELS_PER_MM, abs=3)


def test_gaps_stay_gaps():
    curve = np.zeros(1000)
    curve[300:700] = np.nan

    columns = ink(page(curve)).any(axis=0)

    assert not columns[int((12 + 80) * PIXELS_PER_MM) : int((12 + 170) * PIXELS_PER_MM)].any()


@pytest.mark.parametrize("value", [1e308, -1e308, 1e-308, np.nan])
def test_absurd_values_make_a_page_of_the_usual_size(value):
    curve = np.full(1000, value)
    curve[::2] = -curve[::2]

    assert page(curve).shape[0] < 800


def test_hundreds_of_channels_do_not_make_an_endless_page():
    assert page(*[np.zeros(10)] * 500).shape[0] < 5000


@pytest.mark.parametrize(
    "group",
    [
        {},
        {"003A0005": {"vr": "US", "Value": [1]}, "003A0010": {"vr": "UL", "Value": [4_000_000_000]},
         "003A001A": {"vr": "DS", "Value": [100]}, "54001006": {"vr": "CS", "Value": ["MB"]}},
        {"003A0005": {"vr": "US", "Value": [60000]}, "003A0010": {"vr": "UL", "Value": [10]},
         "003A001A": {"vr": "DS", "Value": [100]}, "54001006": {"vr": "CS", "Value": ["SS"]}},
    ],
    ids=["empty", "a voice", "too many channels"],
)  # fmt: skip
def test_what_is_no_curve_is_refused(group):
    with pytest.raises(NotRenderable):
        read_groups({"54000100": {"vr": "SQ", "Value": [group]}}, lambda *_: b"", SECONDS)
