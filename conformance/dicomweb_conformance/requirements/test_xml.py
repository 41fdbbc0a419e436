"""PS3.19 A.1: the Native DICOM Model, in which metadata and matches come as XML."""

import re
from xml.etree import ElementTree as ET

import pytest

from dicomweb_conformance.client import JSON, XML, ok, parts
from dicomweb_conformance.levels import OPTIONAL
from dicomweb_conformance.sample_instances import encoded, run, uid, values

NAMESPACE = "{http://dicom.nema.org/PS3.19/models/NativeDICOM}"
ACCEPT = f'multipart/related; type="{XML}"'


@pytest.fixture(scope="module")
def model(service):
    ok(service.store(encoded(values())))
    ((_, body),) = parts(ok(service.get(f"/studies/{uid('V')}/metadata", ACCEPT)))
    return ET.fromstring(body)


def attribute(model, tag):
    (found,) = [each for each in model if each.get("tag") == tag]
    return found


def texts(model, tag):
    return [value.text for value in attribute(model, tag).iter(f"{NAMESPACE}Value")]


def test_A_1_5_the_root_is_native_dicom_model_in_its_namespace(model):
    assert model.tag == f"{NAMESPACE}NativeDicomModel"


def test_A_1_5_its_children_are_attributes_with_tag_and_vr(model):
    for each in model:
        assert each.tag == f"{NAMESPACE}DicomAttribute"
        assert re.fullmatch("[0-9A-F]{8}|[0-9A-F]{4}00[0-9A-F]{2}", each.get("tag"))
        assert len(each.get("vr")) == 2


def test_A_1_5_public_attributes_have_their_keyword(model):
    assert attribute(model, "00101030").get("keyword") == "PatientWeight"


def test_A_1_5_private_attributes_have_their_creator(model):
    (found,) = [each for each in model if each.get("privateCreator") == "CONFORMANCE"]

    assert [value.text for value in found] == ["private"]


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("00080054", ["ONE", "TWO"]),
        ("00280009", ["00181063"]),
        ("00101030", ["72.5"]),
        ("00082122", ["7"]),
        ("00080080", ["Hôpital"]),
        ("00186020", ["-12"]),
        ("00080062", ["1.2.3", "1.2.4"]),
    ],
)
def test_A_1_5_values_are_text(model, tag, expected):
    assert texts(model, tag) == expected


def test_A_1_5_values_are_numbered_from_1(model):
    numbers = [value.get("number") for value in attribute(model, "00080054")]

    assert numbers == ["1", "2"]


def test_A_1_5_person_names_are_taken_apart(model):
    first, second = attribute(model, "00081070")

    assert first.tag == f"{NAMESPACE}PersonName"
    assert first.findtext(f"{NAMESPACE}Alphabetic/{NAMESPACE}FamilyName") == "Doe"
    assert second.findtext(f"{NAMESPACE}Alphabetic/{NAMESPACE}GivenName") == "Rick"


def test_A_1_5_an_empty_attribute_has_no_children(model):
    assert len(attribute(model, "00324000")) == 0


def test_A_1_5_sequences_have_numbered_items(service):
    response = ok(service.get(f"/studies/{uid('A')}/series/{uid('A', 1)}/metadata", ACCEPT))
    model = ET.fromstring(parts(response)[0][1])
    (item,) = attribute(model, "00400275")

    assert (item.tag, item.get("number")) == (f"{NAMESPACE}Item", "1")
    assert texts(item, "00400009") == [f"SPS{run()[-6:]}"]


def test_A_1_5_a_bulk_data_element_has_a_uri_that_resolves(service, model):
    for element in model.iter(f"{NAMESPACE}BulkData"):
        ok(service.request("GET", element.get("uri"), "*/*"))


def test_8_7_3_each_dataset_is_a_part_of_its_own(service):
    response = ok(service.get(f"/studies/{uid('A')}/metadata", ACCEPT))

    assert len(parts(response)) == 4
    assert all(headers["content-type"].startswith(XML) for headers, _ in parts(response))


@OPTIONAL
def test_A_1_5_xml_and_json_have_the_same_attributes(service, model):
    (dataset,) = ok(service.get(f"/studies/{uid('V')}/metadata", JSON)).json()
    public = {tag for tag in dataset if int(tag[3], 16) % 2 == 0}

    assert public == {each.get("tag") for each in model if not each.get("privateCreator")} & public
