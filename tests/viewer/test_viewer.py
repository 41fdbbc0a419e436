"""The viewer at /ohif/ as a person sees it: OHIF in a real browser on the real server."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom
import pytest
import requests

from tests.helpers import samples
from tests.helpers.files.jpeg_xl import jpeg_xl
from tests.helpers.ohif import WINDOW, Viewer, eventually
from tests.helpers.server_process import Server

pytestmark = pytest.mark.slow

BUILT = Path(__file__).parents[2] / "build" / "viewer"
CORPUS = Path(os.environ.get("LENTICULAR_CORPUS", "/nonexistent")) / "studies"
FOLDERS = ("ct_head_ge", "ecg", "mg", "us_multiframe", "wsi_pyramid", "xa_multiframe")

ENHANCED_MR = "../transfer_syntaxes/1.2.840.10008.1.2.1/MONOCHROME2_16_12_0_1_mf_emri_small.dcm"
FOOT = {"PatientName": "Foot^Fiona", "StudyDescription": "Foot", "StudyDate": "20230115"}
FOOT |= {"PatientID": "MRN-77", "AccessionNumber": "A-4711", "VOILUTFunction": "SIGMOID"}
WIDE = {"width": 1920, "height": 1000}
"""Enough for every column of the study list."""


def volume() -> list[bytes]:
    """A ball in 24 slices."""
    place = {"FrameOfReferenceUID": samples.uid("ball"), "PixelSpacing": [1, 1]}
    place |= {"SliceThickness": 1, "PatientName": "Ball^Boris", "StudyDescription": "Ball"}
    z, y, x = np.ogrid[-12:12, -12:12, -12:12]
    ball = np.where(z**2 + y**2 + x**2 < 100, 1200, 1000).astype(np.uint16)
    files = []
    for number, pixels in enumerate(ball, 1):
        slice_ = samples.with_pixels(samples.dataset("ball", 1, number, **place), pixels[None])
        files.append(samples.encode(slice_))
    return files


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    """A server with the viewer and some studies."""
    if not (BUILT / "index.html").is_file():
        pytest.skip("the viewer is not here (make viewer)")
    place = {"LENTICULAR_VIEWER": str(BUILT)}
    with Server(tmp_path_factory.mktemp("viewer") / "data", environment=place) as running:
        files = [*volume(), samples.ct("foot", **FOOT), samples.pdf("paper"), cine()]
        store(running, *files)
        yield running


def cine() -> bytes:
    """Frames in JPEG."""
    return samples.jpeg("cine", frames=12)


@pytest.fixture(scope="module")
def corpus(server) -> Server:
    """The server with real studies too."""
    if not CORPUS.is_dir():
        pytest.skip("LENTICULAR_CORPUS names no folder of real studies")
    for folder in FOLDERS:
        store(server, *(path.read_bytes() for path in sorted((CORPUS / folder).iterdir())))
    store(server, (CORPUS / ENHANCED_MR).read_bytes())
    return server


def store(server: Server, *files: bytes) -> None:
    for content in files:
        answer = requests.post(f"{server.url}/instances", data=content, timeout=60)
        assert answer.status_code == 200, answer.text


def study_of(name: str) -> str:
    return str(pydicom.dcmread(CORPUS / name, stop_before_pixels=True).StudyInstanceUID)


@pytest.fixture
def viewer(browser, server) -> Iterator[Viewer]:
    """A page that must have nothing to complain of."""
    with browser.new_context(viewport=WINDOW) as context:
        opened = Viewer(context.new_page(), server.url)
        yield opened
        assert opened.complaints == []


def test_the_study_list_is_filtered(viewer):
    viewer.studies()
    assert eventually(lambda: "Foot, Fiona" in viewer.patients())

    for filters in (
        "?patientName=fiona",
        "?description=oot",
        "?startDate=20230101&endDate=20230201",
    ):
        viewer.studies(filters)
        assert viewer.shows_patients("Foot, Fiona"), filters
    viewer.studies("?patientName=nobody")
    assert viewer.shows_text("No studies available")


def test_filters_are_typed_into_the_study_list(viewer):
    viewer.page.set_viewport_size(WIDE)
    viewer.studies()
    fields = viewer.page.locator("[data-filter-row] input").all()
    name, mrn, start, end, modalities, description, accession = fields
    filters = [(name, "fiona"), (mrn, "rn-77"), (description, "foot"), (accession, "4711")]

    for field, text in filters:
        field.fill(text)
        assert viewer.shows_patients("Foot, Fiona"), text
        viewer.page.get_by_role("button", name="Reset").click()
        assert viewer.shows_patient("Ball, Boris")
    start.fill("2023-01-01")
    end.fill("2023-02-01")
    end.press("Enter")
    assert viewer.shows_patients("Foot, Fiona")
    viewer.page.get_by_role("button", name="Reset").click()
    assert viewer.shows_patient("Ball, Boris")
    modalities.fill("ES")
    modalities.press("Enter")
    assert viewer.shows_patients("Doe, Jane")


def test_a_stack_is_shown_and_scrolled(viewer):
    viewer.study(samples.study_uid("ball"))

    assert viewer.shows_text("(1/24)")
    viewer.page.locator("[data-cy=viewport-pane]").hover()
    for _ in range(12):
        viewer.page.mouse.wheel(0, 100)
    assert eventually(lambda: "(1/24)" not in viewer.text())
    assert viewer.shows_pictures(least=0.1)


def test_a_measurement_is_stored_as_a_report(viewer):
    viewer.study(samples.study_uid("ball"))
    assert viewer.shows_text("(1/24)")
    assert viewer.shows_pictures()

    viewer.measure()
    viewer.page.get_by_role("button", name="Yes").click()
    viewer.page.locator("[data-cy=trackedMeasurements-btn]").click()
    viewer.page.get_by_text("Create SR").first.click()
    with viewer.page.expect_response(lambda answer: answer.request.method == "POST") as stored:
        viewer.page.get_by_role("button", name="Save").click()

    assert stored.value.status == 200
    found = requests.get(f"{viewer.url}/dicom-web/instances?Modality=SR", timeout=60).json()
    studies = [report["0020000D"]["Value"] for report in found]
    assert [samples.study_uid("ball")] in studies


def test_a_volume_is_shown_in_three_planes(viewer):
    viewer.study(samples.study_uid("ball"), hangingProtocolId="mpr")

    assert viewer.shows_pictures(3, least=0.1)


def test_a_picture_with_a_function_for_its_window_is_shown(viewer):
    viewer.study(samples.study_uid("foot"))

    assert viewer.shows_pictures()


def test_frames_of_one_instance_are_shown(viewer):
    viewer.study(samples.study_uid("cine"))

    assert viewer.shows_text("/12)")
    assert viewer.shows_pictures()


def test_a_picture_that_the_viewer_cannot_decode_is_shown(viewer):
    store(viewer, jpeg_xl("jpeg xl"))
    viewer.study(samples.study_uid("jpeg xl"))

    assert viewer.shows_pictures()


def test_a_volume_that_the_browser_cannot_draw_is_said_to_be_too_large(viewer):
    viewer.studies()
    most = viewer.page.evaluate("""() => {
        const gl = document.createElement('canvas').getContext('webgl2');
        const most = gl.getParameter(gl.MAX_3D_TEXTURE_SIZE);
        gl.bindTexture(gl.TEXTURE_3D, gl.createTexture());
        gl.texStorage3D(gl.TEXTURE_3D, 1, gl.R8, 4, 4, most + 1);
        return most;
    }""")
    assert viewer.shows_text(f"This series has {most + 1} slices, rows or columns.")
    assert f"hold {most}, so it can be shown as a stack" in viewer.text()


def test_a_file_is_uploaded(viewer, tmp_path):
    file = tmp_path / "new.dcm"
    file.write_bytes(samples.ct("uploaded", PatientName="New^Nora"))
    viewer.studies()

    viewer.page.get_by_role("button", name="Upload").click()
    viewer.page.locator("input[type=file]").first.set_input_files(file)

    assert viewer.shows_text("1 file completed.")
    viewer.studies("?patientName=nora")
    assert viewer.shows_patients("New, Nora")


def test_whoever_opens_the_viewer_signs_in_where_that_is_asked_for(browser, server, tmp_path):
    """The browser asks at the page, and sends along with all that follows what it was told."""
    settings = {"LENTICULAR_VIEWER": str(BUILT), "LENTICULAR_USERS": "ann:secret:read"}
    signed_in = {"username": "ann", "password": "secret"}
    with Server(tmp_path / "data", environment=settings) as guarded:
        with browser.new_context(viewport=WINDOW, http_credentials=signed_in) as context:
            viewer = Viewer(context.new_page(), guarded.url)
            viewer.studies()
            assert viewer.shows_text("No studies available")
            assert viewer.complaints == []
        assert requests.get(f"{guarded.url}/ohif/", timeout=60).status_code == 401


@pytest.mark.parametrize("modality", ["SEG", "RTSTRUCT"])
def test_segments_are_drawn_on_the_pictures(viewer, corpus, modality):
    viewer.study(study_of("ct_head_ge/01.dcm"))
    assert viewer.shows_text("(1/28)")
    assert viewer.shows_pictures()
    assert viewer.red() == 0

    viewer.open(modality)
    viewer.page.get_by_role("button", name="Yes").click()

    assert eventually(lambda: viewer.red() > 0.001)


def test_a_report_is_drawn_on_its_picture(viewer, corpus):
    viewer.study(study_of("ct_head_ge/01.dcm"))
    assert viewer.shows_text("(1/28)")

    viewer.open("SR")

    assert viewer.shows_text("(15/28)")
    assert viewer.shows_pictures()


def test_a_document_is_shown(viewer, corpus):
    viewer.study(study_of("ct_head_ge/01.dcm"))
    with viewer.page.expect_response(lambda answer: answer.url.endswith("/rendered")) as asked:
        viewer.open("DOC")

    assert asked.value.status == 200
    assert asked.value.headers["content-type"] == "application/pdf"
    assert viewer.shows_pictures(least=0.5)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        (ENHANCED_MR, "/10)"),
        ("us_multiframe/examples_ybr_color.dcm", "/30)"),
        ("xa_multiframe/jpeg_baseline_8bit.dcm", "/96)"),
        ("mg/OutOfBoundsOverlay.dcm", "1/1"),
        ("mg/GH133.dcm", "MAMMOSCREENING"),
        ("ecg/waveform_ecg.dcm", "ECG"),
    ],
)
def test_pictures_of_every_kind_are_shown(viewer, corpus, name, says):
    viewer.study(study_of(name))

    assert viewer.shows_text(says)
    assert viewer.shows_pictures(least=0.01)


def test_a_slide_is_shown(viewer, corpus):
    viewer.study(study_of("wsi_pyramid/level0.dcm"), mode="microscopy")

    assert viewer.shows_text("200 ")
    assert viewer.shows_pictures()
