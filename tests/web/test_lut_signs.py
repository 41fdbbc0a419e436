"""The sign of what a VOI LUT maps first: that of the Modality LUT's output (PS3.3 C.11.2.1.1)."""

import io

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from tests.helpers import samples, wire
from tests.helpers.http.retrieve import bodies, get

IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
STORED = np.arange(0, 4096, 16, dtype=np.int32).reshape(1, 16, 16)


def image(label: str, syntax: str, vr: str, *, signed: bool, intercept: int, first: int) -> bytes:
    """An image of 12 bits whose VOI LUT is a ramp over all that the rescaling gives."""
    stored = (STORED - 2048 * signed).astype(np.int16 if signed else np.uint16)
    base = samples.dataset(
        label, RescaleIntercept=intercept, RescaleSlope=1, WindowCenter=None, WindowWidth=None
    )
    whole = samples.with_pixels(base, stored, bits_stored=12, signed=signed)
    table = Dataset()
    table.add_new("LUTDescriptor", vr, [4096, first, 16])
    table.LUTData = (np.arange(4096, dtype="<u2") * 16).tobytes()
    table["LUTData"].VR = "OW"
    whole.VOILUTSequence = Sequence([table])
    whole.SmallestImagePixelValue = int(stored.min())
    whole["SmallestImagePixelValue"].VR = "SS" if signed else "US"
    return samples.encode(whole, syntax)


def shown(client, label: str) -> np.ndarray:
    answer = get(client, samples.path(label) + "/rendered", "image/png")
    assert answer.status_code == 200, answer.text
    return np.asarray(Image.open(io.BytesIO(answer.content))).astype(int)


def descriptor(dataset: dict) -> dict:
    (item,) = wire.items(dataset, "00283010")
    return item["00283002"]


CASES = {
    "unsigned pixels, signed output": (False, -1024, -1024),
    "signed pixels, unsigned output": (True, 32768, 32768 - 2048),
    "signed pixels, signed output": (True, 0, -2048),
    "unsigned pixels, unsigned output": (False, 40_000, 40_000),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("vr", ["US", "SS"])
@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT])
def test_a_voi_lut_is_applied_with_the_sign_of_what_goes_in(client, case, vr, syntax):
    signed, intercept, first = CASES[case]
    written = first & 0xFFFF if vr == "US" else (first + 32768) % 65536 - 32768
    label = f"{case} {vr} {syntax}"
    wire.must_store(client, image(label, syntax, vr, signed=signed, intercept=intercept,
                                  first=written))  # fmt: skip

    assert np.abs(shown(client, label) - STORED[0] / 16).max() <= 1


@pytest.mark.parametrize("case", CASES)
def test_in_implicit_vr_the_descriptor_has_the_vr_of_what_goes_in(client, case):
    signed, intercept, first = CASES[case]
    wire.must_store(client, image(case, IMPLICIT, "US", signed=signed, intercept=intercept,
                                  first=first & 0xFFFF))  # fmt: skip
    vr = "SS" if first < 0 else "US"

    (dataset,) = get(client, samples.path(case) + "/metadata").json()
    assert descriptor(dataset) == {"vr": vr, "Value": [4096, first, 16]}
    assert dataset["00280106"]["vr"] == ("SS" if signed else "US")
    accept = f"multipart/related; type=application/dicom; transfer-syntax={EXPLICIT}"
    (made,) = bodies(client, samples.path(case), accept)
    element = pydicom.dcmread(io.BytesIO(made)).VOILUTSequence[0]["LUTDescriptor"]
    assert (element.VR, list(element.value)) == (vr, [4096, first, 16])


def test_a_modality_lut_s_own_descriptor_has_the_sign_of_stored_values(client):
    whole = pydicom.dcmread(io.BytesIO(image("table", EXPLICIT, "US", signed=True, intercept=0,
                                             first=0)))  # fmt: skip
    table = Dataset()
    table.add_new("LUTDescriptor", "SS", [4096, -2048, 16])
    table.LUTData = np.arange(4096, dtype="<u2").tobytes()
    table["LUTData"].VR = "OW"
    table.ModalityLUTType = "US"
    del whole.RescaleIntercept, whole.RescaleSlope
    whole.ModalityLUTSequence = Sequence([table])
    wire.must_store(client, samples.encode(whole, IMPLICIT))

    (dataset,) = get(client, samples.path("table") + "/metadata").json()
    (item,) = wire.items(dataset, "00283000")
    assert item["00283002"] == {"vr": "SS", "Value": [4096, -2048, 16]}
    assert descriptor(dataset)["vr"] == "US"
    assert np.abs(shown(client, "table") - STORED[0] / 16).max() <= 1
