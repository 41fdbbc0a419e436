"""PS3.18 10.6: the Search transaction, and the query parameters of 8.3.4."""

import pytest

from dicomweb_conformance.client import (
    JSON,
    XML,
    explained,
    media_type_of,
    ok,
    optional,
    parts,
    value,
    values,
)
from dicomweb_conformance.levels import OPTIONAL
from dicomweb_conformance.sample_instances import patient_id, run, uid

STUDY_UID, SERIES_UID, SOP_UID = "0020000D", "0020000E", "00080018"
STUDY_ATTRIBUTES = [
    *("00080020", "00080030", "00080050", "00080061", "00080090"),
    *("00100010", "00100020", "00100030", "00100040", "0020000D", "00200010"),
    *("00201206", "00201208"),
]
SERIES_ATTRIBUTES = ["00080060", "0020000E", "00200011", "00201209"]
INSTANCE_ATTRIBUTES = ["00080016", "00080018", "00200013", "00280010", "00280011", "00280100"]


def mine(**more: str) -> dict[str, str]:
    """Return parameters that match instances of this run only."""
    return {"PatientID": f"CONF-{run()}-*", **more}


@pytest.mark.parametrize(
    ("path", "count"),
    [
        ("/studies", 2),
        ("/series", 6),
        ("/instances", 8),
        ("/studies/{A}/series", 2),
        ("/studies/{A}/instances", 4),
        ("/studies/{A}/series/{A1}/instances", 3),
    ],
)
def test_10_6_1_1_every_search_resource_is_there(service, path, count):
    path = path.format(A=uid("A"), A1=uid("A", 1))

    assert len(service.search(path, **mine())) == count


@pytest.mark.parametrize("key", ["StudyInstanceUID", "0020000D"])
def test_8_3_4_1_an_attribute_is_a_keyword_or_a_tag(service, key):
    assert values(service.search("/studies", **{key: uid("A")}), STUDY_UID) == [uid("A")]


def test_8_3_4_1_a_list_of_uids_matches_each_of_them(service):
    for separator in (",", "\\"):
        found = service.search("/studies", StudyInstanceUID=separator.join((uid("A"), uid("B"))))

        assert sorted(values(found, STUDY_UID)) == sorted([uid("A"), uid("B")])


def test_8_3_4_1_wildcards_match_any_text_and_any_character(service):
    for pattern in (f"CONF-{run()}-*", f"CONF-{run()}-?", f"*{run()}*"):
        assert len(service.search("/studies", PatientID=pattern)) == 2, pattern


def test_8_3_4_1_values_are_percent_decoded(service):
    found = service.get(
        f"/studies?PatientName=Conformance%5EAnna&PatientID={patient_id('A')}", JSON
    )

    assert values(ok(found).json(), STUDY_UID) == [uid("A")]


@pytest.mark.parametrize(
    ("dates", "labels"),
    [
        ("20200131", "A"),
        ("20200101-20200131", "A"),
        ("20200201-", "B"),
        ("-20200131", "A"),
        ("20200131-20200229", "AB"),
        ("20190101-20191231", ""),
    ],
)
def test_8_3_4_1_dates_match_by_range(service, dates, labels):
    found = service.search("/studies", **mine(StudyDate=dates))

    assert sorted(values(found, STUDY_UID)) == sorted(uid(label) for label in labels)


def test_8_3_4_1_times_match_by_range(service):
    found = service.search("/studies", **mine(StudyTime="100000-110000"))

    assert values(found, STUDY_UID) == [uid("A")]


def test_8_3_4_1_a_range_of_dates_and_one_of_times_are_one_of_moments(service):
    until_the_last_morning = mine(StudyDate="20200101-20200131", StudyTime="235959-101500")
    until_the_last_midnight = mine(StudyDate="20200101-20200131", StudyTime="235959-000000")

    assert values(service.search("/studies", **until_the_last_morning), STUDY_UID) == [uid("A")]
    assert service.search("/studies", **until_the_last_midnight) == []


def test_8_3_4_1_dates_are_those_of_the_time_zone_that_is_named(service):
    day_after = mine(StudyDate="20200301")

    assert service.search("/studies", **day_after) == []
    found = service.search("/studies", **day_after, TimezoneOffsetFromUTC="+0200")
    assert values(found, STUDY_UID) == [uid("B")]


def test_8_3_4_1_names_match_whatever_their_case(service):
    found = service.search("/studies", **mine(PatientName="CONFORMANCE^ANNA"))

    assert values(found, STUDY_UID) == [uid("A")]


def test_8_3_4_1_names_match_by_another_component_group(service):
    found = service.search("/studies", **mine(PatientName="山田*"))

    assert values(found, STUDY_UID) == [uid("B")]


@OPTIONAL
def test_8_3_4_1_a_sequence_s_attribute_is_named_by_its_path(service):
    path = "RequestAttributesSequence.ScheduledProcedureStepID"
    response = service.get("/series", JSON, params=mine(**{path: f"SPS{run()[-6:]}"}))

    assert set(values(optional(response).json(), SERIES_UID)) == {uid("A", 1), uid("B", 1)}


@pytest.mark.parametrize(
    ("level", "key", "wanted", "labels"),
    [
        ("/studies", "AccessionNumber", "ACC{run}A", "A"),
        ("/studies", "ModalitiesInStudy", "DOC", "B"),
        ("/studies", "ReferringPhysicianName", "Referrer*", "AB"),
        ("/studies", "StudyID", "1", "AB"),
        ("/series", "Modality", "DOC", "B"),
        ("/series", "SeriesNumber", "3", "B"),
        ("/instances", "InstanceNumber", "3", "A"),
        ("/instances", "SOPClassUID", "1.2.840.10008.5.1.4.1.1.104.1", "B"),
    ],
)
def test_10_6_1_2_1_every_required_key_matches(service, level, key, wanted, labels):
    found = service.search(level, **mine(**{key: wanted.format(run=run()[-6:])}))

    assert sorted(set(values(found, STUDY_UID))) == sorted(uid(label) for label in labels)


def test_10_6_1_2_2_fuzzy_matching_is_done_or_warned_of(service):
    response = ok(
        service.get("/studies", JSON, params=mine(PatientName="anna", fuzzymatching="true"))
    )

    assert len(response.json()) == 1 or "fuzzymatching" in response.headers.get("Warning", "")


@pytest.mark.parametrize(
    ("path", "tags"),
    [
        ("/studies", STUDY_ATTRIBUTES),
        (
            "/series",
            [*STUDY_ATTRIBUTES[:5], "00100010", "00100020", "0020000D", *SERIES_ATTRIBUTES],
        ),
        ("/instances", ["0020000D", *SERIES_ATTRIBUTES[:3], *INSTANCE_ATTRIBUTES]),
    ],
)
def test_10_6_3_3_a_match_has_the_attributes_of_its_table(service, path, tags):
    found = (
        service.search(path, StudyInstanceUID=uid("A"), SOPInstanceUID=uid("A", 1, 1))
        if (path == "/instances")
        else service.search(path, StudyInstanceUID=uid("A"))
    )

    assert [tag for tag in tags if tag not in found[0]] == []


def test_10_6_3_3_a_match_has_a_retrieve_url_that_works(service):
    for path in ("/studies", "/series", "/instances"):
        url = value(service.search(path, StudyInstanceUID=uid("A"))[0], "00081190")

        ok(service.request("GET", url, 'multipart/related; type="application/dicom"'))


def test_10_6_3_3_counts_are_right(service):
    study = service.search("/studies", StudyInstanceUID=uid("A"))[0]

    assert (value(study, "00201206"), value(study, "00201208")) == (2, 4)
    assert sorted(study["00080061"]["Value"]) == ["CT", "OT"]


def test_8_3_4_3_includefield_adds_an_attribute(service):
    for name in ("StudyDescription", "00081030"):
        found = service.search("/studies", StudyInstanceUID=uid("A"), includefield=name)

        assert value(found[0], "00081030") == "Conformance A"


def test_8_3_4_3_includefield_takes_a_list(service):
    found = service.search(
        "/instances", SOPInstanceUID=uid("A", 1, 1), includefield="RescaleSlope,00281052"
    )

    assert (value(found[0], "00281053"), value(found[0], "00281052")) == (1, -1024)


def test_8_3_4_3_includefield_all_gives_everything(service):
    found = service.search("/instances", SOPInstanceUID=uid("A", 1, 1), includefield="all")

    assert value(found[0], "00281053") == 1


def test_10_6_3_1_nothing_found_is_200_with_an_empty_array(service):
    response = service.get("/studies", JSON, params={"StudyInstanceUID": uid("nobody")})

    assert ok(response).json() == []


def test_10_6_3_1_nothing_found_is_200_in_xml_too(service):
    """A search without matches has succeeded (CP-2473)."""
    accept = f'multipart/related; type="{XML}"'
    response = service.get("/studies", accept, params={"StudyInstanceUID": uid("nobody")})

    assert response.status_code == 200, explained(response)
    assert b"NativeDicomModel" not in response.content


def test_8_3_1_unknown_parameters_are_ignored(service):
    assert len(service.search("/studies", **mine(nothingOfThisName="1"))) == 2


@pytest.mark.parametrize("key", ["patientid", "PATIENTID"])
def test_8_3_1_names_of_parameters_are_case_sensitive(service, key):
    """A name in other letters is another parameter, which is not known."""
    found = service.get("/studies", JSON, params={key: patient_id("A"), "limit": "1"})

    assert found.status_code in (200, 400), explained(found)


@pytest.mark.parametrize("level", ["/studies", "/series", "/instances"])
def test_8_3_4_1_an_attribute_without_a_value_matches_everything(service, level):
    """Universal matching, PS3.4 C.2.2.2.3."""
    everything = len(service.search(level, **mine()))

    assert len(service.search(level, **mine(StudyDescription=""))) == everything


def test_8_3_4_1_a_single_value_matches_exactly(service):
    assert service.search("/studies", PatientID=patient_id("A")[:-1]) == []


def test_8_3_4_1_one_question_mark_is_one_character(service):
    assert service.search("/studies", PatientID=patient_id("A")[:-2] + "?") == []


@pytest.mark.parametrize("separator", [",", "%2C"])
def test_8_3_4_1_commas_of_a_list_may_be_percent_encoded(service, separator):
    listed = separator.join((uid("A"), uid("B")))
    response = ok(service.get(f"/studies?StudyInstanceUID={listed}", JSON))

    assert len(response.json()) == 2


def test_8_3_4_1_attributes_combine(service):
    assert (
        service.search("/studies", **mine(PatientName="Conformance^Anna", StudyDate="20200229"))
        == []
    )


def test_8_3_4_1_a_series_is_found_by_its_study_s_attributes(service):
    found = service.search("/series", **mine(StudyDate="20200131"))

    assert set(values(found, STUDY_UID)) == {uid("A")}


def test_8_3_4_1_an_instance_is_found_by_its_series_attributes(service):
    found = service.search("/instances", **mine(Modality="CT"))

    assert len(found) == 4


@pytest.mark.parametrize("path", ["/studies/1.2.3/series", "/studies/1.2.3/series/4.5/instances"])
def test_10_6_1_a_search_below_what_does_not_exist_finds_nothing(service, path):
    response = service.get(path, JSON)

    assert response.status_code == 404 or ok(response).json() == []


@pytest.mark.parametrize(
    "query",
    [
        *("limit=", "limit=1.5", "offset=-1", "fuzzymatching=TRUE", "StudyDate=20201301"),
        *("StudyTime=256000", "StudyDate=20200101-2020", "PatientBirthDate=1.1.1970"),
    ],
)
def test_8_3_1_a_value_that_its_parameter_cannot_have_is_400(service, query):
    assert service.get(f"/studies?{query}", JSON).status_code == 400


def test_10_6_3_3_matches_have_instance_availability_only_with_a_defined_term(service):
    for match in service.search("/studies", **mine()):
        assert value(match, "00080056") in (None, "ONLINE", "NEARLINE", "OFFLINE", "UNAVAILABLE")


def test_10_6_3_3_specific_character_set_is_that_of_the_response(service):
    (match,) = service.search("/studies", StudyInstanceUID=uid("B"))

    assert match["00080005"]["Value"] == ["ISO_IR 192"]


@pytest.mark.parametrize(
    "query", ["limit=-1", "limit=many", "offset=x", "StudyDate=yesterday", "fuzzymatching=perhaps"]
)
def test_10_6_3_1_a_malformed_query_is_400(service, query):
    assert service.get(f"/studies?{query}", JSON).status_code == 400


@OPTIONAL
def test_10_6_3_1_head_and_get_agree(service):
    url = f"{service.url}/studies"
    got = service.request("GET", url, JSON, params=mine())
    asked = optional(service.request("HEAD", url, JSON, params=mine()))

    assert (media_type_of(asked), asked.content) == (media_type_of(got), b"")


@OPTIONAL
def test_8_3_4_empty_value_matching_finds_what_has_no_value(service):
    response = service.get(
        "/studies", JSON, params=mine(PatientBirthDate='""', emptyvaluematching="true")
    )

    assert values(optional(response).json(), STUDY_UID) == [uid("B")]


@OPTIONAL
def test_8_3_4_multiple_value_matching_matches_each_value(service):
    names = f"{patient_id('A')}\\{patient_id('B')}"
    response = service.get(
        "/studies", JSON, params={"PatientID": names, "multiplevaluematching": "true"}
    )

    assert len(optional(response).json()) == 2


def test_8_7_3_a_search_answers_dicom_json_by_default(service):
    assert media_type_of(ok(service.get("/studies", "*/*", params=mine()))) == JSON


def test_8_7_3_a_search_answers_native_dicom_xml(service):
    response = ok(service.get("/studies", f'multipart/related; type="{XML}"', params=mine()))

    bodies = parts(response)
    assert len(bodies) == 2
    assert all(b"NativeDicomModel" in body for _, body in bodies)


def test_10_6_3_3_dicom_json_has_no_empty_values(service):
    for match in service.search("/studies", **mine(includefield="all")):
        for element in match.values():
            assert element.get("Value") != []
            assert "vr" in element
