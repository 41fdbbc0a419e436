"""Every shape of request that OHIF 3.13.2 makes, as recorded from it, and what it needs in answer.

tests/viewer drives OHIF itself; here its requests run on every backend, without a browser.
"""

import io
import json
from urllib.parse import urlencode

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import JPEG2000

from tests.helpers import samples, wire
from tests.helpers.files.jpeg_xl import jpeg_xl

FIELDS = (
    "limit=101&offset=0&fuzzymatching=true&includefield=00081030%2C00080060%2C00080090%2C00100030"
)
EXACTLY = FIELDS.replace("fuzzymatching=true", "fuzzymatching=false")
SERIES_FIELDS = "includefield=00080021%2C00080031%2C0008103E%2C00200011"
STORED = "multipart/related; type=application/octet-stream; transfer-syntax=*"
TILES = ", ".join(
    [
        *(
            f'multipart/related; type="{kind}"; transfer-syntax=1.2.840.10008.1.2.4.{syntax}'
            for kind, syntax in (
                *(("image/jls", 80), ("image/jls", 81), ("image/jp2", 90), ("image/jp2", 91)),
                *(("image/jpx", 92), ("image/jpx", 93)),
            )
        ),
        'multipart/related; type="application/octet-stream"; transfer-syntax=*',
        'multipart/related; type="image/jpeg"; transfer-syntax=1.2.840.10008.1.2.4.50',
    ]
)
NAVIGATION = (
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/jxl,image/avif,image/webp,"
    "image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7"
)
PICTURE = "image/jxl,image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"
CT = samples.path("ohif")
J2K = samples.path("ohif j2k")
PDF = samples.path("ohif pdf")
PDF_CONTENT = b"%PDF-1.4\n%%EOF\n" * 100
SAMPLES = np.arange(24, dtype="<i2").tobytes() * 100


def ecg() -> bytes:
    """A waveform: bulk data within a sequence."""
    channel = Dataset()
    channel.ChannelLabel = "I"
    group = Dataset()
    group.NumberOfWaveformChannels = 1
    group.WaveformBitsAllocated = 16
    group.WaveformSampleInterpretation = "SS"
    group.ChannelDefinitionSequence = [channel]
    group.WaveformData = SAMPLES
    content = samples.dataset(
        "ohif ecg", SOPClassUID="1.2.840.10008.5.1.4.1.1.9.1.1", Modality="ECG"
    )
    content.WaveformSequence = [group]
    return samples.encode(content)


def slide() -> bytes:
    """Tiles, with a colour profile within a sequence."""
    path = Dataset()
    path.OpticalPathIdentifier = "1"
    path.ICCProfile = b"profile " * 500
    content = pydicom.dcmread(io.BytesIO(samples.jpeg("ohif slide", frames=3)))
    content.Modality = "SM"
    content.OpticalPathSequence = [path]
    return samples.encode(content, content.file_meta.TransferSyntaxUID)


@pytest.fixture(scope="module")
def client(module_client):
    """One for all of them, with what is asked for."""
    described = {"StudyDescription": "Knee of the left", "PatientName": "Knie^Anna"}
    wire.must_store(module_client, *samples.ct_series("ohif", 2, **described))
    wire.must_store(
        module_client,
        *(samples.jpeg_2000("ohif j2k"), samples.pdf("ohif pdf", PDF_CONTENT), ecg(), slide()),
    )
    return module_client


def get(client, path: str, accept: str):
    answer = client.get(wire.DICOMWEB + path, headers={"Accept": accept})
    assert answer.status_code == 200, answer.text
    return answer


LIST = {
    "all": f"?{FIELDS}",
    "by name": f"?PatientName=*nie*&{FIELDS}",
    "by description": f"?StudyDescription=*KNEE*&{FIELDS}",
    "by accession number": f"?AccessionNumber=*ohi*&{FIELDS}",
    "by modality": f"?ModalitiesInStudy=CT&{FIELDS}",
    "by modalities": f"?ModalitiesInStudy=MR%2CCT&{FIELDS}",
    "by everything": "?PatientName=*anna*&00100020=*ohif*&AccessionNumber=*A*"
    f"&StudyDescription=*left*&ModalitiesInStudy=MR%2CCT&{FIELDS}&StudyDate=20240101-20241231",
    "from a date": f"?{FIELDS}&StudyDate=20240229-20991231",
    "up to a date": f"?{FIELDS}&StudyDate=19700102-20240229",
    "by its UID": f"?{FIELDS}&StudyInstanceUID={samples.study_uid('ohif')}",
    "priors": f"?00100020=Pohif&{FIELDS}",
    "exactly": "?PatientName=Knie^Anna&00100020=Pohif&AccessionNumber=Aohif"
    f"&StudyDescription=Knee%20of%20the%20left&ModalitiesInStudy=MR%2CCT&{EXACTLY}"
    "&StudyDate=20240229-20240229",
}


@pytest.mark.parametrize("query", LIST.values(), ids=LIST.keys())
def test_the_study_list_finds_the_study(client, query):
    answer = get(client, f"/studies{query}", wire.DICOM_JSON)

    studies = {wire.value(each, "0020000D"): each for each in answer.json()}
    study = studies[samples.study_uid("ohif")]
    assert wire.value(study, "00081030") == "Knee of the left"
    assert wire.value(study, "00080061") == "CT"
    assert {"00080060", "00080090", "00100030"} & set(study)
    assert answer.headers["Content-Type"].startswith(wire.DICOM_JSON)


@pytest.mark.parametrize(
    "typed", ["\\", "\\\\", "\\Anna", "Anna\\", "Knie\\Anna", ",", "^", "=", "*"]
)
@pytest.mark.parametrize("key", ["PatientName", "00100020", "AccessionNumber", "StudyDescription"])
def test_whatever_is_typed_into_a_filter_leaves_a_list(client, key, typed):
    query = urlencode({key: f"*{typed}*"})
    answer = get(client, f"/studies?{query}&{FIELDS}", wire.DICOM_JSON)
    assert answer.status_code == 200, answer.text
    if key == "PatientName":
        assert samples.study_uid("ohif") in wire.uids(answer.json())


@pytest.mark.parametrize(
    "query", [f"?PatientName=*nobody*&{FIELDS}", f"?{FIELDS}&StudyInstanceUID=1.2.3.4.5"]
)
def test_the_study_list_without_a_match_is_empty(client, query):
    assert get(client, f"/studies{query}", wire.DICOM_JSON).json() == []


def test_no_study_has_modalities_without_a_value(client):
    for study in get(client, f"/studies?{FIELDS}", wire.DICOM_JSON).json():
        assert "00080061" not in study or study["00080061"]["Value"]


@pytest.mark.parametrize(
    "query",
    [
        *("includefield=0008103E%2C00080021", SERIES_FIELDS),
        f"{SERIES_FIELDS}&SeriesInstanceUID={samples.series_uid('ohif')}",
    ],
    ids=["selected in the list", "opened", "one of them"],
)
def test_the_series_of_a_study_are_listed(client, query):
    path = f"/studies/{samples.study_uid('ohif')}/series?{query}"

    (series,) = get(client, path, wire.DICOM_JSON).json()

    assert wire.value(series, "0020000E") == samples.series_uid("ohif")
    assert wire.value(series, "0008103E") == "Series 1"
    assert wire.value(series, "00200011") == 1


@pytest.mark.parametrize("path", [CT.rpartition("/instances")[0], CT.partition("/series")[0]])
def test_metadata_has_everything_but_the_pixels(client, path):
    instances = get(client, f"{path}/metadata", wire.DICOM_JSON).json()

    assert len(instances) == 2
    for instance in instances:
        assert wire.value(instance, "00280010") == 16
        assert "InlineBinary" not in instance["7FE00010"]
        assert "BulkDataURI" in instance["7FE00010"]


def frame(client, path: str, accept: str) -> tuple[str, str, bytes]:
    """Type of the answer, type of its part, and the part.

    OHIF shows black pictures when the header of a part is spelled otherwise than `Content-Type`.
    """
    answer = get(client, f"{path}/frames/1", accept)
    ((headers, body),) = wire.parts(answer)
    return answer.headers["Content-Type"], headers["Content-Type"], body


def test_a_frame_comes_as_it_is_stored(client):
    stored = pydicom.dcmread(io.BytesIO(samples.ct("ohif")))
    _, part, body = frame(client, CT, STORED)
    assert part == "application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1"
    assert body == stored.PixelData

    whole, part, body = frame(client, J2K, STORED)
    assert whole.startswith('multipart/related; type="image/jp2"; boundary=')
    assert part == "image/jp2; transfer-syntax=1.2.840.10008.1.2.4.90"
    assert body[:2] == b"\xff\x4f"


def test_what_the_shipped_viewer_cannot_decode_comes_decoded(client):
    """By the types that viewer/app-config.js lists, JPEG XL does not come as it is stored."""
    listed = (
        *(("image/jpeg", f"4.{end}") for end in (50, 51, 57, 70)),
        *(("image/jls", f"4.{end}") for end in (80, 81)),
        *(("image/jp2", f"4.{end}") for end in (90, 91)),
        *(("image/jphc", f"4.{end}") for end in (201, 202, 203)),
        *(("image/dicom-rle", "5"), ("application/octet-stream", "1")),
    )
    shipped = ",".join(
        f'multipart/related;type="{kind}";transfer-syntax=1.2.840.10008.1.2.{end}'
        for kind, end in listed
    )
    wire.must_store(client, jpeg_xl("ohif jxl"))
    _, part, body = frame(client, samples.path("ohif jxl"), shipped)
    assert part == "application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1"
    assert body == samples.ramp(64, 64, seed="ohif jxl").tobytes()
    for path, expected in ((CT, "octet-stream; transfer-syntax=1.2.840.10008.1.2.1"), (J2K, "jp2")):
        _, part, body = frame(client, path, shipped)
        assert expected in part


def test_a_frame_comes_in_the_syntax_that_is_configured(client):
    lossy = f"multipart/related; type=image/jp2; transfer-syntax={JPEG2000}"
    _, part, body = frame(client, J2K, lossy)
    assert part == f"image/jp2; transfer-syntax={JPEG2000}"
    assert body[:2] == b"\xff\x4f"

    explicit = (
        'multipart/related; type="application/octet-stream"; transfer-syntax="1.2.840.10008.1.2.1"'
    )
    _, part, body = frame(client, J2K, explicit)
    assert part == "application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1"
    assert len(body) == 16 * 16 * 3


def test_a_frame_comes_as_jpeg_when_that_is_configured(client):
    baseline = "multipart/related; type=image/jpeg; transfer-syntax=1.2.840.10008.1.2.4.50"
    _, part, body = frame(client, samples.path("ohif slide"), baseline)
    assert part == "image/jpeg; transfer-syntax=1.2.840.10008.1.2.4.50"
    assert body[:2] == b"\xff\xd8"


def test_tiles_of_a_slide_come_in_one_of_the_types_that_it_lists(client):
    _, part, body = frame(client, samples.path("ohif slide"), TILES)

    assert part.startswith(("image/jpeg; transfer-syntax=", "application/octet-stream; transfer-"))
    assert body


def test_a_segmentation_is_loaded_as_a_whole_file(client):
    ((headers, body),) = wire.parts(get(client, CT, 'multipart/related; type="application/dicom"'))

    assert headers["Content-Type"].startswith("application/dicom")
    assert pydicom.dcmread(io.BytesIO(body)).SOPInstanceUID == samples.sop_uid("ohif")


def test_a_document_is_shown_by_the_browser_itself(client):
    answer = get(client, f"{PDF}/rendered", NAVIGATION)

    assert answer.headers["Content-Type"] == "application/pdf"
    assert answer.content == PDF_CONTENT
    assert "attachment" not in answer.headers.get("Content-Disposition", "")
    assert "X-Frame-Options" not in answer.headers


def test_a_document_comes_as_bulk_data(client):
    answer = get(client, f"{PDF}/bulkdata/00420011", "*/*")
    assert answer.headers["Content-Type"] == "application/pdf"
    assert answer.content == PDF_CONTENT

    either = ", ".join(
        f'multipart/related; type="application/{kind}"' for kind in ("pdf", "octet-stream")
    )
    ((headers, body),) = wire.parts(get(client, f"{PDF}/bulkdata/00420011", either))
    assert headers["Content-Type"] in ("application/pdf", "application/octet-stream")
    assert body == PDF_CONTENT


@pytest.mark.parametrize(
    ("path", "tags", "accept", "content"),
    [
        ("ohif ecg", ("54000100", "54001010"), "application/octet-stream", SAMPLES),
        ("ohif slide", ("00480105", "00282000"), "*/*", b"profile " * 500),
    ],
    ids=["waveform", "colour profile"],
)
def test_bulk_data_within_a_sequence_is_where_the_metadata_say(client, path, tags, accept, content):
    sequence, tag = tags
    metadata = get(client, f"{samples.path(path)}/metadata", wire.DICOM_JSON).json()[0]
    uri = metadata[sequence]["Value"][0][tag]["BulkDataURI"]
    assert uri.endswith(f"{samples.path(path)}/bulkdata/{sequence}/0/{tag}")

    assert get(client, uri.partition(wire.DICOMWEB)[2], accept).content == content


@pytest.mark.parametrize(
    ("resource", "accept"),
    [
        ("thumbnail?viewport=256%2C256", "image/jpeg"),
        ("thumbnail?accept=image%2Fjpeg", "*/*"),
        ("thumbnail?accept=image/jpeg", PICTURE),
        ("rendered?viewport=256%2C256", "image/jpeg"),
        ("rendered?accept=image%2Fjpeg", "*/*"),
    ],
)
def test_a_thumbnail_is_a_jpeg(client, resource, accept):
    answer = get(client, f"{CT}/{resource}", accept)

    assert answer.headers["Content-Type"] == "image/jpeg"
    assert answer.content[:2] == b"\xff\xd8"


def test_an_upload_and_a_saved_report_are_stored(client):
    content, _ = wire.multipart(samples.ct("ohif upload"), boundary="dicomweb-client")
    headers = {
        "Accept": "*/*",
        "Content-Type": 'multipart/related; type="application/dicom"; boundary="dicomweb-client"',
    }

    answer = client.post(f"{wire.DICOMWEB}/studies", content=content, headers=headers)

    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith(wire.DICOM_JSON)
    assert wire.stored(answer) == [samples.sop_uid("ohif upload")]
    assert json.loads(answer.text)


def test_wado_uri_gives_the_file_as_it_is_stored(client):
    study, series, instance = CT.split("/")[2::2]
    query = (
        f"requestType=WADO&studyUID={study}&seriesUID={series}&objectUID={instance}"
        "&contentType=application/dicom&transferSyntax=*"
    )

    answer = client.get(f"/wado?{query}", headers={"Accept": STORED})

    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"].startswith("application/dicom;")
    assert pydicom.dcmread(io.BytesIO(answer.content)).SOPInstanceUID == instance
