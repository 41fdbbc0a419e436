"""Character sets, places and warnings of answers, PS3.18 8.3.3.2, 8.4.3, 8.8 and 10.4.1.1.3."""

import io
from urllib.parse import unquote
from xml.etree import ElementTree as ET

import pytest
from PIL import Image
from pydicom import dcmread

from tests.helpers import samples, wire
from tests.helpers.files import nonimage
from tests.helpers.http.retrieve import get

XML = 'multipart/related; type="application/dicom+xml"'
NAME = "Müller^Zoë"


@pytest.fixture
def report(client) -> str:
    """The path of the rendered resource of a report."""
    file = dcmread(io.BytesIO(nonimage.report("said")))
    file.SpecificCharacterSet, file.PatientName = "ISO_IR 192", NAME
    file.StudyDescription = "山"
    wire.must_store(client, samples.encode(file))
    return samples.path("said") + "/rendered"


def test_a_report_is_an_xml_document_for_who_asks_for_text_xml(client, report):
    answer = get(client, report, "text/xml")

    assert answer.headers["content-type"] == "text/xml; charset=utf-8"
    root = ET.fromstring(answer.content)
    assert root.tag == "{http://www.w3.org/1999/xhtml}html"
    assert "Zoë" in "".join(root.itertext())
    assert get(client, report, None).headers["content-type"].startswith("text/html")


@pytest.mark.parametrize("media_type", ["text/html", "text/plain", "text/xml"])
@pytest.mark.parametrize("name", ["iso-8859-1", "ISO_IR 100"])
def test_a_report_comes_in_the_character_set_that_is_asked_for(client, report, media_type, name):
    by_parameter = get(client, f"{report}?charset={name}", media_type)
    by_header = get(client, report, media_type, **{"Accept-Charset": f"{name}, utf-8;q=0.5"})

    for answer in (by_parameter, by_header):
        assert answer.headers["content-type"] == f"{media_type}; charset=iso-8859-1"
        assert "Müller" in answer.content.decode("iso-8859-1")
        # Letters that the set has not are references, or question marks in plain text.
        assert ("?" if media_type == "text/plain" else "&#23665;") in answer.text
    assert by_header.headers["etag"] != get(client, report, media_type).headers["etag"]


def test_a_character_set_of_the_media_type_goes_before_all_others(client, report):
    media_type = "text/html; charset=us-ascii, text/plain; charset=gbk;q=0.5"

    answer = get(client, f"{report}?charset=utf-8", media_type)
    assert answer.headers["content-type"] == "text/html; charset=us-ascii"
    unknown = get(client, f"{report}?charset=gbk", "text/html; charset=klingon")
    assert unknown.headers["content-type"] == "text/html; charset=gbk"


def test_the_parameter_goes_before_the_header_and_weights_decide(client, report):
    both = get(client, f"{report}?charset=utf-8;q=0.2,us-ascii", None, **{"Accept-Charset": "gbk"})

    assert both.headers["content-type"] == "text/html; charset=us-ascii"


@pytest.mark.parametrize("accepted", ["klingon", "utf-8;q=0", "utf-8;q=0, *;q=0"])
def test_no_accepted_character_set_is_406(client, report, accepted):
    header = {"Accept-Charset": accepted}

    for path in (f"/studies/{samples.study_uid('said')}/metadata", "/studies", report):
        wire.assert_error(get(client, path, None, **header), 406)
    also = {"Accept-Charset": f"{accepted}, us-ascii;q=0.1"}
    assert get(client, report, None, **also).headers["content-type"].endswith("us-ascii")


def test_a_client_that_takes_any_character_set_or_utf_8_among_others_gets_it(client, report):
    for accepted in ("*", "iso-8859-1, *;q=0.1", "iso-8859-1, utf-8;q=0.7"):
        assert get(client, "/studies", None, **{"Accept-Charset": accepted}).status_code == 200
    wire.assert_error(get(client, "/studies?charset=iso-8859-1", None), 400)
    wire.assert_error(get(client, f"{report}?charset=klingon", None), 400)


def test_pictures_have_no_character_set(client):
    wire.must_store(client, samples.ct("a"))

    answer = get(client, samples.path("a") + "/rendered", None, **{"Accept-Charset": "klingon"})
    assert answer.headers["content-type"] == "image/jpeg"


def test_metadata_and_searches_say_where_they_are(client):
    wire.must_store(client, samples.ct("a"))

    for path in (samples.path("a") + "/metadata", "/studies", "/instances?limit=1"):
        answer = get(client, path, "application/dicom+json")
        assert unquote(answer.headers["content-location"]).endswith(wire.DICOMWEB + path)
        assert client.get(answer.headers["content-location"]).json() == answer.json()


def test_each_xml_document_says_where_it_is(client):
    wire.must_store(client, samples.ct("a"), samples.ct("a", instance=2))
    study = f"/studies/{samples.study_uid('a')}"

    ((match, _),) = wire.parts(get(client, "/studies", XML))
    assert match["Content-Location"].endswith(study)
    for headers, body in wire.parts(get(client, f"{study}/metadata", XML)):
        place = headers["Content-Location"]
        answer = client.get(place, headers={"Accept": "application/dicom+xml"})
        assert answer.content == body


def test_wado_uri_says_where_its_answer_is(client):
    wire.must_store(client, samples.ct("a"))
    names = dict(zip(("studyUID", "seriesUID", "objectUID"), samples.path("a").split("/")[2::2],
                     strict=True))  # fmt: skip

    for content_type in ("application/dicom", "image/png"):
        parameters = {"requestType": "WADO", "contentType": content_type, **names}
        answer = client.get("/wado", params=parameters)
        again = client.get(answer.headers["content-location"])
        assert again.content == answer.content


def test_annotations_that_are_unknown_are_ignored_with_a_warning(client):
    wire.must_store(client, samples.ct("a"))
    url = samples.path("a") + "/rendered?viewport=200,200"

    known = get(client, f"{url}&annotation=patient", "image/png")
    both = get(client, f"{url}&annotation=patient,weather%0d%0aX: y", "image/png")
    none = get(client, f"{url}&annotation=weather", "image/png")
    assert both.content == known.content
    assert none.content == get(client, url, "image/png").content
    assert "weather" in both.headers["warning"]
    assert "weather" in none.headers["warning"]
    assert "x" not in both.headers
    assert "warning" not in known.headers


def test_a_picture_that_carries_no_profile_is_not_had_with_one(client):
    wire.must_store(client, samples.ct("a"))
    url = samples.path("a") + "/rendered?iccprofile="

    wire.assert_error(get(client, f"{url}srgb", "image/gif"), 400)
    assert get(client, f"{url}no", "image/gif").status_code == 200
    assert (
        "icc_profile" in Image.open(io.BytesIO(get(client, f"{url}srgb", "image/png").content)).info
    )


def test_the_url_of_a_study_is_empty_where_the_stored_ones_have_none_in_common(client):
    answer = wire.store(client, samples.ct("a"), samples.ct("b"))

    assert answer.json()["00081190"] == {"vr": "UR"}
    assert wire.value(wire.store(client, samples.ct("c")).json(), "00081190")
