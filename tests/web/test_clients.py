"""dicomweb-client, an outside client, against the real server."""

import inspect
import io
import re
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicomweb_client.api import DICOMwebClient
from pydicom.dataset import Dataset
from requests import HTTPError

from tests.helpers import samples
from tests.helpers.files import nonimage
from tests.helpers.server_process import Server

ANY_SYNTAX = (("application/dicom", "*"),)


@pytest.fixture(scope="module")
def dicomweb(server: Server) -> DICOMwebClient:
    return DICOMwebClient(url=f"{server.url}/dicom-web", session=server.session())


@pytest.fixture(scope="module")
def study(dicomweb: DICOMwebClient) -> str:
    """A study of two series that this client has stored."""
    files = samples.ct_series("client", 3) + samples.ct_series("client", 2, series=2)
    answer = dicomweb.store_instances([read(content) for content in files])
    assert len(answer.ReferencedSOPSequence) == 5
    return samples.study_uid("client")


def read(content: bytes) -> Dataset:
    return pydicom.dcmread(io.BytesIO(content))


def test_every_method_of_the_client_is_called_here():
    """So that a newer version with more of them is noticed."""
    public = {
        name for name, _ in inspect.getmembers(DICOMwebClient, callable) if not name.startswith("_")
    }
    called = set(re.findall(r"dicomweb\.(\w+)\(", Path(__file__).read_text("utf-8")))

    assert public <= called


def place(label: str, series: int = 1) -> tuple[str, str, str]:
    """The UIDs of the first instance of a series."""
    return (
        samples.study_uid(label),
        samples.series_uid(label, series),
        samples.sop_uid(label, series),
    )


def test_a_store_to_a_study_tells_what_failed(dicomweb, study):
    other = read(samples.ct("client other"))

    with pytest.raises(HTTPError):
        dicomweb.store_instances([other], study_instance_uid=study)


def test_studies_are_searched_by_keyword_tag_wildcard_and_date(dicomweb, study):
    for filters in (
        {"StudyInstanceUID": study},
        {"0020000D": study},
        {"StudyInstanceUID": study, "PatientName": "doe*"},
        {"StudyInstanceUID": study, "StudyDate": "20240101-20241231"},
        {"StudyInstanceUID": study, "PatientID": "Pclient", "ModalitiesInStudy": "CT"},
    ):
        (match,) = dicomweb.search_for_studies(search_filters=filters)
        found = Dataset.from_json(match)
        assert found.NumberOfStudyRelatedSeries == 2
        assert found.NumberOfStudyRelatedInstances == 5


def test_series_and_instances_are_searched(dicomweb, study):
    series = dicomweb.search_for_series(study)
    assert len(series) == 2
    assert len(dicomweb.search_for_instances(study)) == 5
    instances = dicomweb.search_for_instances(study, samples.series_uid("client", 2))
    assert len(instances) == 2
    filters = {"InstanceNumber": "2", "StudyInstanceUID": study}
    assert len(dicomweb.search_for_instances(search_filters=filters)) == 2


def test_pages_do_not_overlap_and_are_complete(dicomweb, study):
    pages = [
        dicomweb.search_for_instances(study, limit=2, offset=offset) for offset in (0, 2, 4, 6)
    ]

    assert [len(page) for page in pages] == [2, 2, 1, 0]
    found = [match["00080018"]["Value"][0] for page in pages for match in page]
    assert len(set(found)) == 5


def test_the_remaining_pages_are_fetched_and_words_of_names_are_found(dicomweb, study):
    found = dicomweb.search_for_instances(study, limit=2, get_remaining=True)
    assert len({match["00080018"]["Value"][0] for match in found}) == 5
    named = {"StudyInstanceUID": study, "PatientName": "jan do"}
    assert dicomweb.search_for_studies(search_filters=named) == []
    assert len(dicomweb.search_for_studies(fuzzymatching=True, search_filters=named)) == 1
    more = {"additional_params": {"includefield": "00200052"}}
    assert len(dicomweb.search_for_series(study, limit=1, offset=1, **more)) == 1


def test_keywords_and_tags_are_looked_up(dicomweb):
    assert dicomweb.lookup_keyword("00100010") == "PatientName"
    assert dicomweb.lookup_tag("PatientName") == "00100010"


def test_more_attributes_are_included_when_asked_for(dicomweb, study):
    (match, *_) = dicomweb.search_for_instances(study, fields=["PatientName", "00281053", "Rows"])

    found = Dataset.from_json(match)
    assert (found.PatientName, found.RescaleSlope, found.Rows) == ("Doe^Jane", 1, 16)


def test_instances_are_retrieved_whole(dicomweb, study):
    series = samples.series_uid("client")
    instance = dicomweb.retrieve_instance(study, series, samples.sop_uid("client"), ANY_SYNTAX)

    original = read(samples.ct("client"))
    assert instance == original
    assert np.array_equal(instance.pixel_array, original.pixel_array)


def test_series_and_studies_are_retrieved(dicomweb, study):
    series = samples.series_uid("client", 2)

    assert len(dicomweb.retrieve_study(study, ANY_SYNTAX)) == 5
    assert len(dicomweb.retrieve_series(study, series, ANY_SYNTAX)) == 2
    assert len(list(dicomweb.iter_study(study))) == 5
    assert len(list(dicomweb.iter_series(study, series))) == 2


def test_metadata_is_retrieved_at_every_level_and_its_bulk_data_resolves(dicomweb, study):
    series, sop = samples.series_uid("client"), samples.sop_uid("client")
    assert len(dicomweb.retrieve_study_metadata(study)) == 5
    assert len(dicomweb.retrieve_series_metadata(study, series)) == 3
    metadata = dicomweb.retrieve_instance_metadata(study, series, sop)
    assert Dataset.from_json(metadata, lambda *_: b"").PatientName == "Doe^Jane"

    (pixels,) = dicomweb.retrieve_bulkdata(metadata["7FE00010"]["BulkDataURI"])

    assert pixels == read(samples.ct("client")).PixelData


def test_bulk_data_is_retrieved_in_ranges_and_pieces(dicomweb, study):
    dicomweb.set_chunk_size(100)
    dicomweb.set_http_retry_params(retry=False)
    metadata = dicomweb.retrieve_instance_metadata(*place("client"))
    url, pixels = metadata["7FE00010"]["BulkDataURI"], read(samples.ct("client")).PixelData
    octets = ("application/octet-stream",)

    assert list(dicomweb.iter_bulkdata(url)) == [pixels]
    assert dicomweb.retrieve_bulkdata(url, octets) == [pixels]
    assert dicomweb.retrieve_bulkdata(url, octets, byte_range=(10, 19)) == [pixels[10:20]]
    assert list(dicomweb.iter_bulkdata(url, byte_range=(0, 0))) == [pixels[:1]]


@pytest.mark.parametrize(
    ("media_type", "syntax"),
    [
        ("application/octet-stream", "1.2.840.10008.1.2.1"),
        ("image/jpeg", "1.2.840.10008.1.2.4.57"),
        ("image/jpeg", "1.2.840.10008.1.2.4.70"),
        ("image/jls", "1.2.840.10008.1.2.4.80"),
        ("image/jls", "1.2.840.10008.1.2.4.81"),
        ("image/jp2", "1.2.840.10008.1.2.4.90"),
        ("image/jp2", "1.2.840.10008.1.2.4.91"),
        ("image/dicom-rle", "1.2.840.10008.1.2.5"),
    ],
)
def test_frames_and_instances_are_retrieved_in_every_transfer_syntax(
    dicomweb, study, media_type, syntax
):
    chosen = ((media_type, syntax),)
    (frame,) = dicomweb.retrieve_instance_frames(*place("client"), [1], chosen)
    assert list(dicomweb.iter_instance_frames(*place("client"), [1], chosen)) == [frame]
    instance = dicomweb.retrieve_instance(*place("client"), (("application/dicom", syntax),))
    assert instance.file_meta.TransferSyntaxUID == syntax
    assert frame in instance.PixelData


def test_frames_are_retrieved(dicomweb):
    content = samples.multi_frame("client frames", 4)
    dicomweb.store_instances([read(content)])

    frames = dicomweb.retrieve_instance_frames(*place("client frames"), [4, 2])

    pixels = read(content).pixel_array
    assert frames == [pixels[3].tobytes(), pixels[1].tobytes()]


def test_pictures_are_retrieved(dicomweb, study):
    series, sop = samples.series_uid("client"), samples.sop_uid("client")

    jpeg = dicomweb.retrieve_instance_rendered(study, series, sop, ("image/jpeg",))
    png = dicomweb.retrieve_instance_frames_rendered(study, series, sop, [1], ("image/png",))
    small = dicomweb.retrieve_instance_rendered(
        study, series, sop, ("image/jpeg",), params={"viewport": "8,8", "quality": "90"}
    )

    assert jpeg.startswith(b"\xff\xd8")
    assert png.startswith(b"\x89PNG")
    assert small.startswith(b"\xff\xd8")
    assert dicomweb.retrieve_series_rendered(study, series).startswith(b"\xff\xd8")
    gif = dicomweb.retrieve_series_rendered(study, series, ("image/gif",))
    assert gif.startswith(b"GIF8")


def test_a_document_and_a_report_are_rendered_as_what_they_are(dicomweb):
    for content in (samples.pdf("client pdf"), nonimage.report("client report")):
        dicomweb.store_instances([read(content)])

    document = dicomweb.retrieve_instance_rendered(*place("client pdf"), ("application/pdf",))
    page = dicomweb.retrieve_instance_rendered(*place("client report"), ("text/html",))

    assert document.startswith(b"%PDF")
    assert "Chest report" in str(page)


def test_what_is_not_there_answers_404(dicomweb):
    with pytest.raises(HTTPError) as raised:
        dicomweb.retrieve_study_metadata("1.2.3")

    assert raised.value.response.status_code == 404


def test_studies_series_and_instances_are_deleted(dicomweb):
    label = "client deleted"
    files = samples.ct_series(label, 3) + samples.ct_series(label, 1, series=2)
    dicomweb.store_instances([read(content) for content in files])
    study = samples.study_uid(label)

    dicomweb.delete_instance(study, samples.series_uid(label), samples.sop_uid(label))
    assert len(dicomweb.search_for_instances(study)) == 3
    dicomweb.delete_series(study, samples.series_uid(label))
    (match,) = dicomweb.search_for_studies(search_filters={"StudyInstanceUID": study})
    assert Dataset.from_json(match).NumberOfStudyRelatedSeries == 1
    dicomweb.delete_study(study)
    assert dicomweb.search_for_studies(search_filters={"StudyInstanceUID": study}) == []
