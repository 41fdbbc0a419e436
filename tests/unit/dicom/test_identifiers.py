"""UIDs, Orthanc's identifiers and transfer syntaxes."""

import pytest

from lenticular.dicom import orthanc_id, transfer_syntaxes, uids


@pytest.mark.parametrize("uid", ["1", "1.2.840.10008.1.2", "2.25.0", "1." + "1" * 62])
def test_a_uid_of_digits_and_dots_is_valid(uid: str) -> None:
    assert uids.is_valid(uid)


def test_a_leading_zero_in_a_component_is_let_in() -> None:
    assert uids.is_valid("1.2.0840.1")


@pytest.mark.parametrize(
    "uid",
    [
        "",
        ".",
        "1.",
        ".1",
        "1..2",
        "1.2.x",
        "1.2 ",
        "1.2\n",
        "../1",
        "1/2",
        "1" * 65,
        "\u0661.\u0662",
    ],
)
def test_anything_else_is_no_uid(uid: str) -> None:
    assert not uids.is_valid(uid)


def test_identifiers_are_those_that_orthanc_gives() -> None:
    study = ("LAB000000", "1.2.826.0.1.3680043.10.999.1.0.0")
    assert orthanc_id.orthanc_id(study[0]) == "0a4b5d29-0ca28285-d26ce1c2-ce5f149d-a2fd2e20"
    assert orthanc_id.orthanc_id(*study) == "262a68db-92cdb947-12f9a83f-cb21a6a6-9bed3c24"
    assert orthanc_id.orthanc_id("") == "da39a3ee-5e6b4b0d-3255bfef-95601890-afd80709"


def test_an_identifier_can_be_read_back() -> None:
    digest = orthanc_id.digest("LAB000000")
    assert orthanc_id.to_digest(orthanc_id.from_digest(digest)) == digest


@pytest.mark.parametrize("text", ["", "0a4b5d29", "x" * 44, "0A4B5D29-0ca28285-d26ce1c2-ce5f149d"])
def test_what_is_no_identifier_has_no_digest(text: str) -> None:
    assert orthanc_id.to_digest(text) is None


def test_a_frame_of_each_codec_has_the_media_type_of_the_standard() -> None:
    media_types = {
        "1.2.840.10008.1.2.1": "application/octet-stream",
        "1.2.840.10008.1.2.4.50": "image/jpeg",
        "1.2.840.10008.1.2.4.70": "image/jpeg",
        "1.2.840.10008.1.2.4.80": "image/jls",
        "1.2.840.10008.1.2.4.91": "image/jp2",
        "1.2.840.10008.1.2.4.110": "image/jxl",
        "1.2.840.10008.1.2.4.202": "image/jphc",
        "1.2.840.10008.1.2.4.102": "video/mp4",
        "1.2.840.10008.1.2.5": "image/dicom-rle",
    }
    assert {uid: transfer_syntaxes.lookup(uid).media_type for uid in media_types} == media_types


def test_only_native_syntaxes_are_not_encapsulated() -> None:
    native = {uid for uid, syntax in transfer_syntaxes.KNOWN.items() if not syntax.encapsulated}
    assert {f"1.2.840.10008.1.2{rest}" for rest in ("", ".1", ".1.99", ".2")} <= native
    assert "1.2.840.10008.1.2.4.50" not in native


def test_an_unknown_syntax_is_taken_for_an_encapsulated_one() -> None:
    unknown = transfer_syntaxes.lookup("1.2.3.4")
    assert unknown.encapsulated
    assert not unknown.implicit
    assert unknown.name == "1.2.3.4"
