"""QIDO-RS matching (PS3.18 10.6 and 8.3.4.1, PS3.4 C.2.2.2) through the real application."""

import pytest
from pydicom.dataset import Dataset

from tests.helpers import samples, wire
from tests.helpers.wire import (
    DICOM_JSON,
    DICOMWEB,
    LONGEST_LINE,
    assert_error,
    assert_length,
    must_store,
    search,
    uids,
)

NAMES = {
    "anna": "Müller^Anna",
    "smith": "Smith^John^^Dr",
    "smithers": "Smithers^Mary Ann",
    "yamada": "Yamada^Tarou=山田^太郎=やまだ^たろう",
    "percent": "O'Brien_100%^Pat",
    "nobody": "",
}


@pytest.fixture(scope="module")
def client(module_client):
    """One for all of this file; each test looks at studies of its own."""
    return module_client


@pytest.fixture(scope="module")
def people(client):
    """A study for each of the NAMES."""
    must_store(
        client,
        *(samples.ct(label, PatientName=name, PatientID=label) for label, name in NAMES.items()),
    )
    return client


def found(client, labels=NAMES, **keys):
    """Those of these labels whose studies are found."""
    studies = uids(search(client, **keys))
    return sorted(label for label in labels if samples.study_uid(label) in studies)


@pytest.mark.parametrize(
    ("key", "labels"),
    [
        ("Smith^John", []),  # the prefix `Dr` belongs to the name
        ("Smith^John^^Dr", ["smith"]),
        ("smith john dr", ["smith"]),
        ("SMITH*", ["smith", "smithers"]),
        ("smith^*", ["smith"]),
        ("muller^anna", ["anna"]),
        ("MÜLLER^ANNA^^^", ["anna"]),
        ("mu?ler*", ["anna"]),
        ("*ar*", ["smithers", "yamada"]),
        ("山田*", ["yamada"]),
        ("やまだ^たろう", ["yamada"]),
        ("yamada^tarou=山田^太郎", ["yamada"]),
        ("=山田^太郎", ["yamada"]),
        ("smith*=山田^太郎", []),
        ("o'brien_100%^pat", ["percent"]),
        ("o'brien?100%*", ["percent"]),
        ("%", []),
        ("*", sorted(NAMES)),
        ("", sorted(NAMES)),
        ("^", sorted(NAMES)),
        ("smith*\\yamada*", ["smith", "smithers", "yamada"]),
    ],
)
def test_names_match_in_any_case_accent_and_group(people, key, labels):
    assert found(people, PatientName=key) == labels


@pytest.mark.parametrize(
    ("key", "labels"),
    [
        ("john smi", ["smith"]),
        ("smi", ["smith", "smithers"]),
        ("ann", ["anna", "smithers"]),
        ("mary,smithers", ["smithers"]),
        ("太 yam", ["yamada"]),
        ("*ith*", ["smith", "smithers"]),
        ("mith", []),
        ("smith mary anna", []),
    ],
)
def test_fuzzy_matching_takes_beginnings_of_words_in_any_order(people, key, labels):
    assert found(people, PatientName=key, fuzzymatching="true") == labels


def test_a_name_without_a_value_is_found_by_empty_value_matching(people):
    assert found(people, PatientName='""', emptyvaluematching="true") == ["nobody"]
    assert found(people, PatientName='""') == []


@pytest.mark.parametrize("name", ["PatientID", "patientid", "00100020", "0010,0020"])
def test_an_attribute_has_a_keyword_and_a_tag(people, name):
    assert found(people, **{name: "ANNA"}) == ["anna"]


def test_an_attribute_given_twice_matches_either_value(people):
    answer = people.get(f"{DICOMWEB}/studies?PatientID=anna&PatientID=smith")

    assert len(answer.json()) == 2


def test_percent_encoded_queries_are_understood(people):
    answer = people.get(f"{DICOMWEB}/studies?PatientName=M%C3%BCl%2A&limit=%31")

    assert uids(answer.json()) == [samples.study_uid("anna")]


@pytest.fixture(scope="module")
def mixed(client):
    """A study of CT and MR, one of MR alone."""
    must_store(
        client,
        samples.ct("mixed a", 1, 1, Modality="CT", InstanceNumber="0007"),
        samples.ct("mixed a", 2, 1, Modality="MR", ImageType=["ORIGINAL", "PRIMARY", "AXIAL"]),
        samples.ct("mixed b", 1, 1, Modality="MR"),
    )
    return client


@pytest.mark.parametrize(
    ("keys", "labels"),
    [
        ({"ModalitiesInStudy": "CT"}, "a"),
        ({"ModalitiesInStudy": "MR"}, "ab"),
        ({"ModalitiesInStudy": "CT,MR"}, "ab"),
        ({"ModalitiesInStudy": "CT\\MR"}, "ab"),
        ({"ModalitiesInStudy": "CT\\MR", "multiplevaluematching": "true"}, "a"),
        ({"ModalitiesInStudy": "C*"}, "a"),
        ({"ModalitiesInStudy": "C"}, ""),
        ({"Modality": "CT"}, "a"),
        ({"SOPClassesInStudy": samples.CT_IMAGE_STORAGE}, "ab"),
        ({"NumberOfStudyRelatedSeries": "2"}, "a"),
    ],
)
def test_studies_are_found_by_what_is_in_them(mixed, keys, labels):
    studies = ("mixed a", "mixed b")

    assert found(mixed, studies, **keys) == [f"mixed {label}" for label in labels]


@pytest.mark.parametrize(
    ("keys", "count"),
    [
        ({"InstanceNumber": "7"}, 1),
        ({"InstanceNumber": "007"}, 1),
        ({"ImageType": "axial"}, 1),
        ({"Modality": "MR"}, 2),
        ({"SOPInstanceUID": samples.sop_uid("mixed a", 1)}, 1),
        ({"SOPInstanceUID": f"{samples.sop_uid('mixed a', 1)},{samples.sop_uid('mixed b', 1)}"}, 2),
        (
            {"SOPInstanceUID": f"{samples.sop_uid('mixed a', 1)}\\{samples.sop_uid('mixed b', 1)}"},
            2,
        ),
        ({"StudyInstanceUID": samples.study_uid("mixed a"), "Modality": "MR"}, 1),
        ({"AvailableTransferSyntaxUID": "1.2.840.10008.1.2.1"}, 3),
        ({"Rows": "16"}, 3),
        ({"Rows": "17"}, 0),
    ],
)
def test_instances_are_found_by_attributes_of_every_level(mixed, keys, count):
    matches = search(mixed, "/instances", **{"PatientID": "Pmixed*", **keys})

    assert len(matches) == count


def test_series_are_found_inside_and_outside_of_their_study(mixed):
    study = samples.study_uid("mixed a")

    assert len(search(mixed, "/series", Modality="MR", PatientID="Pmixed*")) == 2
    (series,) = search(mixed, f"/studies/{study}/series", Modality="MR")
    assert wire.value(series, "0020000E") == samples.series_uid("mixed a", 2)
    assert len(search(mixed, f"/studies/{study}/instances", Modality="MR")) == 1
    path = f"/studies/{study}/series/{samples.series_uid('mixed a', 2)}/instances"
    assert len(search(mixed, path)) == 1
    assert search(mixed, path, SOPInstanceUID=samples.sop_uid("mixed a", 1)) == []


@pytest.mark.parametrize(
    "name",
    [
        "RequestAttributesSequence.ScheduledProcedureStepID",
        "00400275.00400009",
        "0040,0275.0040,0009",
    ],
)
def test_an_attribute_inside_a_sequence_has_a_path(client, name):
    item = Dataset()
    item.ScheduledProcedureStepID = "STEP_1"
    must_store(client, samples.ct("step", RequestAttributesSequence=[item]), samples.ct("none"))

    (series,) = search(client, "/series", **{name: "step_1"})

    assert wire.value(series, "0020000D") == samples.study_uid("step")
    (told,) = wire.items(series, "00400275")
    assert wire.value(told, "00400009") == "STEP_1"
    assert search(client, "/series", **{name: "step?2"}) == []


def test_every_required_key_of_the_standard_can_be_searched_for(mixed):
    """PS3.18 Table 10.6.1-5; a key that is not supported would be named in a warning."""
    study = "StudyDate StudyTime AccessionNumber ModalitiesInStudy ReferringPhysicianName"
    study += " PatientName PatientID StudyInstanceUID StudyID"
    series = "Modality SeriesInstanceUID SeriesNumber PerformedProcedureStepStartDate"
    series += " PerformedProcedureStepStartTime"
    series += " RequestAttributesSequence.ScheduledProcedureStepID"
    series += " RequestAttributesSequence.RequestedProcedureID"
    instance = "SOPClassUID SOPInstanceUID InstanceNumber"
    for path, keywords in (
        ("/studies", study),
        ("/series", f"{study} {series}"),
        ("/instances", f"{study} {series} {instance}"),
    ):
        keys = dict.fromkeys(keywords.split(), "")
        answer = mixed.get(DICOMWEB + path, params=keys)
        assert answer.status_code == 200
        assert "warning" not in answer.headers
        assert answer.json()


def test_an_unknown_study_has_no_series(client):
    answer = client.get(f"{DICOMWEB}/studies/1.2.3/series")

    assert (answer.status_code, answer.content) == (200, b"[]")


@pytest.mark.parametrize(
    "keys",
    [
        {"StudyDate": "20240230"},
        {"StudyDate": "yesterday"},
        {"StudyDate": "-"},
        {"StudyTime": "2560"},
        {"StudyInstanceUID": "1" * 129},
        {"StudyInstanceUID": ".."},
        {"StudyInstanceUID": "1.2.3,../etc"},
        {"NumberOfStudyRelatedSeries": "many"},
        {"NumberOfStudyRelatedSeries": "9" * 400},
        {"PatientName": "x" * 5000},
        {"PatientName": "\\".join("ab*" for _ in range(101))},
        {"PatientName": "a " * 40, "fuzzymatching": "true"},
        {"limit": "abc"},
        {"limit": "-1"},
        {"limit": "1.5"},
        {"offset": "-1"},
        {"offset": "9" * 40},
        {"limit": ""},
        {"fuzzymatching": "maybe"},
        {"fuzzymatching": "TRUE"},
    ],
)
def test_what_cannot_be_understood_is_refused(client, keys):
    assert_error(client.get(f"{DICOMWEB}/studies", params=keys), 400)


@pytest.mark.parametrize(
    "keys",
    [
        {"PatientName": "\\".join(f"a^{n}^*" for n in range(100))},
        {"PatientName": "\\".join("a b c d" for _ in range(100)), "fuzzymatching": "true"},
        {"OtherPatientIDs": "\\".join(f"{n}*" for n in range(100))},
        {"SOPClassesInStudy": ",".join(f"1.2.{n}" for n in range(100))},
        pytest.param(
            {"StudyInstanceUID": ",".join(f"1.2.{n}" for n in range(5000))},
            marks=pytest.mark.not_on_stack(LONGEST_LINE),
        ),
        {"PatientName": "*a" * 500},
        {"PatientID": "*" * 4000},
        {"PatientName": "a\\^\\=*"},
        {"PatientName": "a\\*\\=", "fuzzymatching": "true"},
        {"PatientID": "\0"},
        {"PatientID": "\u0301"},
    ],
)
def test_long_and_odd_questions_are_answered(client, keys):
    assert isinstance(search(client, **keys), list)


def test_a_path_without_a_uid_is_refused(client):
    assert_error(client.get(f"{DICOMWEB}/studies/a%01b/series"), 400)


@pytest.mark.parametrize(
    "accept",
    [
        *("application/dicom+json", "application/json", "*/*"),
        pytest.param("", marks=pytest.mark.not_on_stack("API Gateway replaces an empty Accept")),
    ],
)
def test_results_are_dicom_json(people, accept):
    answer = people.get(f"{DICOMWEB}/studies", headers={"Accept": accept})

    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(accept.replace("*/*", "") or DICOM_JSON)


def test_other_media_types_are_not_acceptable(people):
    answer = people.get(f"{DICOMWEB}/studies", headers={"Accept": "text/html"})

    assert_error(answer, 406)


def test_head_tells_what_get_would(people):
    url = f"{DICOMWEB}/studies?limit=5"
    head, get = people.head(url), people.get(url)

    assert head.status_code == 200
    assert_length(head, len(get.content))
    assert head.content == b""
