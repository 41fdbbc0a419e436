"""PS3.18 Annex F: the DICOM JSON Model, in which metadata and matches come."""

import base64
import json
import re

import pytest

from dicomweb_conformance.client import JSON, ok
from dicomweb_conformance.levels import OPTIONAL, RECOMMENDED
from dicomweb_conformance.sample_instances import SIDE, encoded, run, uid, values

PATH = "/studies/{V}/metadata"


@pytest.fixture(scope="module")
def dataset(service):
    ok(service.store(encoded(values())))
    (found,) = ok(service.get(PATH.format(V=uid("V")), JSON)).json()
    return found


def test_F_2_1_metadata_are_an_array_of_one_object_for_each_instance(service):
    found = ok(service.get(f"/studies/{uid('A')}/metadata", JSON)).json()

    assert isinstance(found, list)
    assert all(isinstance(each, dict) for each in found)


def test_F_2_1_a_search_is_an_array_of_one_object_for_each_match(service):
    found = ok(service.get("/studies", JSON, params={"PatientID": f"CONF-{run()}-*"})).json()

    assert isinstance(found, list)
    assert len(found) == 2


def test_F_2_1_the_text_is_utf_8(service, dataset):
    response = ok(service.get(PATH.format(V=uid("V")), JSON))

    assert json.loads(response.content.decode("utf-8")) == [dataset]


def test_F_2_2_names_are_eight_hexadecimal_digits_in_capitals(dataset):
    assert [name for name in dataset if not re.fullmatch("[0-9A-F]{8}", name)] == []


def test_F_2_2_names_are_in_ascending_order(dataset):
    """The attributes of a data set are ordered by their tags."""
    assert list(dataset) == sorted(dataset)


def test_F_2_2_group_lengths_are_left_out(dataset):
    assert [name for name in dataset if name.endswith("0000")] == []


def test_F_2_2_each_attribute_has_its_value_representation(dataset):
    assert [name for name, element in dataset.items() if len(element.get("vr", "")) != 2] == []


def test_F_2_2_an_attribute_has_one_of_value_bulk_data_uri_and_inline_binary(dataset):
    for name, element in dataset.items():
        assert len(element.keys() & {"Value", "BulkDataURI", "InlineBinary"}) <= 1, name
        assert not element.keys() - {"vr", "Value", "BulkDataURI", "InlineBinary"}, name


@pytest.mark.parametrize(
    ("tag", "vr", "value"),
    [
        ("00080054", "AE", ["ONE", "TWO"]),
        ("00101010", "AS", ["042Y"]),
        ("00280009", "AT", ["00181063"]),
        ("00080064", "CS", ["WSD"]),
        ("00080023", "DA", ["20210501"]),
        ("0008002A", "DT", ["20210501101500.5"]),
        ("00089459", "FL", [12.5]),
        ("00080080", "LO", ["Hôpital"]),
        ("001021B0", "LT", ["line one\r\nline two"]),
        ("00081010", "SH", ["ROOM 1"]),
        ("00186020", "SL", [-12]),
        ("00189219", "SS", [-3]),
        ("00080081", "ST", ["Street 1"]),
        ("00080033", "TM", ["101500.25"]),
        ("00080119", "UC", ["x" * 20]),
        ("00080062", "UI", ["1.2.3", "1.2.4"]),
        ("00186016", "UL", [4]),
        ("00081190", "UR", ["http://example.org/a?b=c"]),
        ("00280010", "US", [SIDE]),
        ("0040A160", "UT", ["unlimited"]),
    ],
)
def test_F_2_3_each_value_representation_has_its_type(dataset, tag, vr, value):
    if tag == "00081190":
        # A server may response its own Retrieve URL here.
        assert dataset[tag]["vr"] == vr
        return
    assert dataset[tag] == {"vr": vr, "Value": value}


@pytest.mark.parametrize(
    ("tag", "vr", "numbers"),
    [
        ("00101030", "DS", [72.5]),
        ("00082122", "IS", [7]),
        ("00081160", "IS", [1, 2, 3]),
    ],
)
def test_F_2_3_decimal_and_integer_strings_are_numbers_or_strings(dataset, tag, vr, numbers):
    """DS and IS may be JSON numbers, or JSON strings where their text matters."""
    element = dataset[tag]

    assert element["vr"] == vr
    assert [float(value) for value in element["Value"]] == numbers


def test_F_2_4_several_values_are_items_of_the_array(dataset):
    assert len(dataset["00080054"]["Value"]) == 2


def test_F_2_5_an_empty_attribute_has_no_value(dataset):
    assert dataset["00324000"] == {"vr": "LT"}


def test_F_2_2_person_names_are_objects_by_component_group(service, dataset):
    assert dataset["00081070"]["Value"] == [{"Alphabetic": "Doe^Jane"}, {"Alphabetic": "Roe^Rick"}]
    (other, *_) = ok(service.get(f"/studies/{uid('B')}/series/{uid('B', 1)}/metadata", JSON)).json()
    assert other["00100010"]["Value"][0].keys() == {"Alphabetic", "Ideographic"}


def test_F_2_2_sequences_hold_objects(service):
    found = ok(service.get(f"/studies/{uid('A')}/series/{uid('A', 1)}/metadata", JSON)).json()
    (item,) = found[0]["00400275"]["Value"]

    assert item["00400009"] == {"vr": "SH", "Value": [f"SPS{run()[-6:]}"]}


def test_F_2_2_private_attributes_come_with_their_creator(dataset):
    assert dataset["00110010"] == {"vr": "LO", "Value": ["CONFORMANCE"]}
    assert dataset["00111001"] == {"vr": "SH", "Value": ["private"]}


def test_F_2_6_pixels_are_referred_to_or_inline(service, dataset):
    """Pixel Data come as a URI that resolves, or in Base64; or metadata leave them out."""
    pixels = dataset.get("7FE00010", {})
    if "InlineBinary" in pixels:
        assert base64.b64decode(pixels["InlineBinary"], validate=True)
    if "BulkDataURI" in pixels:
        ok(service.request("GET", pixels["BulkDataURI"], "*/*"))


@RECOMMENDED
def test_F_2_6_bulk_data_uris_are_absolute(dataset):
    for element in dataset.values():
        if "BulkDataURI" in element:
            assert re.match("https?://", element["BulkDataURI"])


def test_F_3_the_media_type_is_application_dicom_json(service):
    response = ok(service.get(PATH.format(V=uid("V")), JSON))

    assert response.headers["Content-Type"].split(";")[0] == JSON


@OPTIONAL
def test_F_2_3_numbers_are_not_written_as_strings_where_they_are_exact(dataset):
    assert dataset["00101030"]["Value"] == [72.5]
    assert dataset["00082122"]["Value"] == [7]
