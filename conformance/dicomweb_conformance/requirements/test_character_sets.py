"""PS3.18 8.3.3.2 and 8.8: the character sets of responses, and how they are chosen."""

import json

import pytest

from dicomweb_conformance.client import JSON, XML, explained, media_type_of, ok, optional, parts
from dicomweb_conformance.levels import OPTIONAL
from dicomweb_conformance.requirements.test_retrieve import INSTANCE, path
from dicomweb_conformance.sample_instances import encoded, report, uid

METADATA = INSTANCE + "/metadata"


@pytest.fixture(scope="module")
def rendered(service) -> str:
    """The rendered resource of a report; without it nothing is text."""
    optional(service.store(encoded(report())))
    resource = f"/studies/{uid('R')}/series/{uid('R', 1)}/instances/{uid('R', 1, 1)}/rendered"
    optional(service.get(resource, "text/html"))
    return resource


@pytest.mark.parametrize("media_type", ["text/html", "text/plain"])
@OPTIONAL
def test_8_8_rendered_texts_are_to_be_had_in_utf_8(service, rendered, media_type):
    """UTF-8 is supported by every service that renders texts."""
    response = optional(service.get(rendered, media_type, params={"charset": "UTF-8"}))

    assert "utf-8" in response.headers["Content-Type"].lower()
    response.content.decode("utf-8")


@OPTIONAL
def test_8_7_4_a_report_is_rendered_as_xml(service, rendered):
    response = optional(service.get(rendered, "text/xml"))

    assert media_type_of(response) == "text/xml"
    assert response.content.lstrip().startswith(b"<")


@OPTIONAL
def test_8_8_5_a_text_says_in_which_character_set_it_is(service, rendered):
    assert "charset=" in ok(service.get(rendered, "text/html")).headers["Content-Type"].lower()


@pytest.mark.parametrize("media_type", ["text/html", "text/plain"])
@OPTIONAL
def test_8_8_5_the_best_of_the_supported_character_sets_is_taken(service, rendered, media_type):
    response = service.get(
        rendered, media_type, headers={"Accept-Charset": "x-nothing, utf-8;q=0.5"}
    )

    assert "utf-8" in ok(response).headers["Content-Type"].lower()


@OPTIONAL
def test_8_8_5_the_parameter_goes_before_the_header(service, rendered):
    response = service.get(
        rendered,
        "text/html",
        params={"charset": "utf-8"},
        headers={"Accept-Charset": "iso-8859-1"},
    )

    assert "utf-8" in ok(response).headers["Content-Type"].lower()


@OPTIONAL
def test_8_8_5_the_character_set_of_the_media_type_goes_before_the_others(service, rendered):
    response = service.get(
        rendered, "text/html; charset=utf-8", headers={"Accept-Charset": "us-ascii, utf-8;q=0.1"}
    )

    assert "utf-8" in ok(response).headers["Content-Type"].lower()


@pytest.mark.parametrize("charset", ["klingon", "x-nothing,x-none", ""])
def test_8_3_3_2_metadata_in_an_unknown_character_set_are_400(service, charset):
    response = service.get(path(METADATA), JSON, params={"charset": charset})

    assert response.status_code == 400, explained(response)


@pytest.mark.parametrize("charset", ["UTF-8", "utf-8", "utf-8;q=0.5", "iso-8859-1,utf-8"])
def test_8_3_3_2_utf_8_may_be_asked_for_in_any_letters(service, charset):
    ok(service.get(path(METADATA), JSON, params={"charset": charset}))


@pytest.mark.parametrize("accepted", ["*", "utf-8", "iso-8859-1, utf-8;q=0.1", "x, *;q=0.1"])
def test_8_8_accept_charset_may_have_wildcards_and_weights(service, accepted):
    ok(service.get(path(METADATA), JSON, headers={"Accept-Charset": accepted}))


def test_F_2_dicom_json_is_utf_8_whatever_the_file_is(service):
    response = ok(service.get(f"/studies/{uid('B')}/metadata", JSON))

    names = [each["00100010"]["Value"][0]["Alphabetic"] for each in json.loads(response.content)]
    assert set(names) == {"Conformancé^Björn"}


def test_A_1_5_native_dicom_xml_declares_utf_8_or_nothing(service):
    response = ok(service.get(path(METADATA), f'multipart/related; type="{XML}"'))
    declaration = parts(response)[0][1].partition(b"?>")[0].lower()

    assert b"encoding" not in declaration or b"utf-8" in declaration
