"""A dataset as Orthanc tells it. What is expected was recorded from Orthanc 1.10.1."""

import base64

import pytest

from lenticular.dicom.model import Dataset, Level
from lenticular.dicom.orthanc_tags import (
    MAIN_DICOM_TAGS,
    full,
    main_dicom_tags,
    name_of,
    shared,
    short,
    simplified,
)


def element(vr: str, *values: object) -> dict[str, object]:
    return {"vr": vr, "Value": list(values)} if values else {"vr": vr}


def value_of(tag: str, **content: object) -> object:
    return full({tag: content})[f"{tag[:4]},{tag[4:]}".lower()]["Value"]


DATASET: Dataset = {
    "00080008": element("CS", "ORIGINAL", "PRIMARY", "AXIAL"),
    "00080050": element("SH"),
    "00081140": element("SQ", {"00081155": element("UI", "1.2.3")}, {}),
    "00100010": element("PN", {"Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎"}),
    "0020000D": element("UI", "1.2.3"),
    "00280010": element("US", 512),
    "7FE00010": {"vr": "OW", "BulkDataURI": "@/x"},
}


def test_full_tags_have_name_type_and_value() -> None:
    assert full(DATASET) == {
        "0008,0008": {"Name": "ImageType", "Type": "String", "Value": "ORIGINAL\\PRIMARY\\AXIAL"},
        "0008,0050": {"Name": "AccessionNumber", "Type": "String", "Value": ""},
        "0008,1140": {
            "Name": "ReferencedImageSequence",
            "Type": "Sequence",
            "Value": [
                {
                    "0008,1155": {
                        "Name": "ReferencedSOPInstanceUID",
                        "Type": "String",
                        "Value": "1.2.3",
                    }
                },
                {},
            ],
        },
        "0010,0010": {
            "Name": "PatientName",
            "Type": "String",
            "Value": "Yamada^Tarou=山田^太郎",
        },
        "0020,000d": {"Name": "StudyInstanceUID", "Type": "String", "Value": "1.2.3"},
        "0028,0010": {"Name": "Rows", "Type": "String", "Value": "512"},
        "7fe0,0010": {"Name": "PixelData", "Type": "Null", "Value": None},
    }


def test_short_tags_have_the_value_only() -> None:
    assert short(DATASET)["0008,1140"] == [{"0008,1155": "1.2.3"}, {}]
    assert short(DATASET)["0028,0010"] == "512"


def test_simplified_tags_go_by_name() -> None:
    assert simplified(DATASET) == {
        "ImageType": "ORIGINAL\\PRIMARY\\AXIAL",
        "AccessionNumber": "",
        "ReferencedImageSequence": [{"ReferencedSOPInstanceUID": "1.2.3"}, {}],
        "PatientName": "Yamada^Tarou=山田^太郎",
        "StudyInstanceUID": "1.2.3",
        "Rows": "512",
        "PixelData": None,
    }


def test_private_elements_tell_their_creator() -> None:
    private = full(
        {
            "00090010": element("LO", "FOO"),
            "00091001": element("LO", "yes"),
            "00111003": element("LO", "nobody's"),
            "00430010": element("LO", "GEMS_PARM_01"),
            "00431026": element("US", 0, 1),
        }
    )
    assert private["0009,0010"] == {"Name": "PrivateCreator", "Type": "String", "Value": "FOO"}
    assert private["0009,1001"] == {
        "Name": "Unknown Tag & Data",
        "PrivateCreator": "FOO",
        "Type": "String",
        "Value": "yes",
    }
    assert "PrivateCreator" not in private["0011,1003"]
    assert private["0043,1026"]["Value"] == "0\\1"


def test_of_elements_with_one_name_the_last_is_told() -> None:
    unknown = {"00110010": element("LO", "ONE"), "00130010": element("LO", "TWO")}
    assert simplified(unknown) == {"PrivateCreator": "TWO"}


@pytest.mark.parametrize(
    ("tag", "name"),
    [
        ("0020000D", "StudyInstanceUID"),
        ("00324000", "RETIRED_StudyComments"),
        ("00101000", "OtherPatientIDs"),
        ("60023000", "OverlayData"),
        ("00080000", "GenericGroupLength"),
        ("EAEA0102", "Unknown Tag & Data"),
    ],
)
def test_names_are_those_of_orthancs_dictionary(tag: str, name: str) -> None:
    assert name_of(tag) == name


def test_the_name_of_a_private_element_is_what_its_maker_calls_it() -> None:
    assert name_of("00431001", "GEMS_PARM_01") == "BitmapOfPrescanOptions"
    assert name_of("00431001", "SOMEBODY ELSE") == "Unknown Tag & Data"


def test_a_string_of_256_bytes_is_told_and_a_longer_one_is_not() -> None:
    assert value_of("00204000", **element("LT", "x" * 256)) == "x" * 256
    assert value_of("00204000", **element("LT", "é" * 128)) == "é" * 128
    too_long = full({"00204000": element("LT", "é" * 129)})["0020,4000"]
    assert too_long == {"Name": "ImageComments", "Type": "TooLong", "Value": None}


def test_a_string_may_be_told_however_long_it_is() -> None:
    comments = {"00204000": element("LT", "x" * 5000)}
    assert full(comments, frozenset({"00204000"}))["0020,4000"]["Value"] == "x" * 5000


def test_a_text_kept_outside_the_dataset_is_too_long() -> None:
    assert full({"0040A160": {"vr": "UT", "BulkDataURI": "@/x"}})["0040,a160"]["Type"] == "TooLong"


@pytest.mark.parametrize("vr", ["OB", "UN", "US", "FD", "AT"])
def test_binary_and_numeric_elements_without_a_value_are_null(vr: str) -> None:
    assert full({"00091001": element(vr)})["0009,1001"]["Type"] == "Null"


@pytest.mark.parametrize(
    ("vr", "values", "told"),
    [
        ("FD", [1e20, 9.9999999999999995e-08, 3.0], "1e+20\\9.9999999999999995e-08\\3"),
        ("FD", [123.4], "123.40000000000001"),
        ("FL", [0.024949999526143074, 123.5], "0.024949999526143074\\123.5"),
        ("FL", [1e300, "NaN"], "1.0000000000000001e+300\\NaN"),
        ("AT", ["00181063"], "0018,1063"),
        ("IS", [7, None, "x"], "7\\\\x"),
        ("SS", [-1500], "-1500"),
        ("PN", [{"Phonetic": "a"}, None, "strange"], "==a\\\\strange"),
    ],
)
def test_values_are_strings(vr: str, values: list[object], told: str) -> None:
    assert value_of("00091001", **element(vr, *values)) == told


def test_an_element_of_unknown_vr_is_read_as_the_string_the_dictionary_says() -> None:
    encoded = base64.b64encode(b"Baker ").decode()
    assert value_of("00102180", vr="UN", InlineBinary=encoded) == "Baker"
    assert value_of("00091001", vr="UN", InlineBinary=encoded) is None
    assert value_of("00280010", vr="UN", InlineBinary=encoded) is None


def test_main_tags_are_those_of_the_level() -> None:
    assert main_dicom_tags(Level.STUDY, DATASET) == {
        "AccessionNumber": "",
        "StudyInstanceUID": "1.2.3",
    }
    assert main_dicom_tags(Level.PATIENT, DATASET, short) == {"0010,0010": "Yamada^Tarou=山田^太郎"}


def test_main_tags_have_the_names_people_expect() -> None:
    for level, name in (
        (Level.PATIENT, "PatientID"),
        (Level.STUDY, "StudyInstanceUID"),
        (Level.SERIES, "SeriesInstanceUID"),
        (Level.INSTANCE, "InstanceNumber"),
    ):
        assert name in map(name_of, MAIN_DICOM_TAGS[level])


def test_shared_elements_are_those_with_one_value_everywhere() -> None:
    other = {**DATASET, "00280010": element("US", 256)}
    assert list(simplified(shared([DATASET, other]))) == [
        *("ImageType", "AccessionNumber", "PatientName", "StudyInstanceUID"),
    ]
    assert shared([]) == {}
