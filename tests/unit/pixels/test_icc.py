"""Colour spaces by name: their profiles are those that others publish."""

import io

import numpy as np
import pytest
from PIL import Image, ImageCms

from lenticular.pixels.presentation import icc

# XYZ of red and of green at D50, as the profiles of their authors have them.
PUBLISHED = {
    "srgb": ((0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971)),
    "adobergb": ((0.6097, 0.3111, 0.0195), (0.2053, 0.6257, 0.0609)),
    "rommrgb": ((0.7977, 0.2880, 0.0000), (0.1352, 0.7119, 0.0000)),
    "displayp3": ((0.5151, 0.2412, -0.0011), (0.2920, 0.6922, 0.0419)),
}


def opened(space: str) -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(io.BytesIO(icc.profile(space)))


@pytest.mark.parametrize("space", PUBLISHED)
def test_the_primaries_are_those_that_are_published(space):
    profile = opened(space).profile

    for found, expected in zip(
        (profile.red_colorant[0], profile.green_colorant[0]), PUBLISHED[space], strict=True
    ):
        assert found == pytest.approx(expected, abs=3e-4)


def test_our_srgb_is_that_of_the_colour_management():
    colours = np.random.default_rng(1).integers(0, 256, (32, 32, 3)).astype(np.uint8)

    other = ImageCms.profileToProfile(
        Image.fromarray(colours), opened("srgb"), ImageCms.createProfile("sRGB")
    )

    assert np.abs(np.asarray(other).astype(int) - colours).max() <= 1


def test_pure_red_is_what_adobe_rgb_makes_of_it():
    red = np.full((2, 2, 3), (255, 0, 0), np.uint8)

    converted, profile = icc.with_colours(red, {}, lambda _: b"", "adobergb")

    assert np.abs(converted[0, 0].astype(int) - (219, 0, 0)).max() <= 1
    assert profile == icc.profile("adobergb")


def test_a_broken_profile_in_the_file_is_taken_for_srgb():
    picture = np.zeros((2, 2, 3), np.uint8)
    broken = {"00282000": {"vr": "OB", "InlineBinary": "bm8gcHJvZmlsZQ=="}}

    assert icc.with_colours(picture, broken, lambda _: b"", "yes")[1] == icc.profile("srgb")
