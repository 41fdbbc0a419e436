"""Orthanc's `/tools` and what the server says of itself."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from lenticular.limits import Limits
from tests.helpers import samples, wire
from tests.helpers.http.orthanc import get, ids_of


@pytest.fixture
def stored(client):
    """Three studies of three patients; the second has two series."""
    wire.must_store(client, samples.ct("a", PatientName="Müller^Änne", StudyDate="20200101"))
    wire.must_store(client, samples.ct("b", PatientName="Smith^Adam", StudyDate="20210203"))
    wire.must_store(client, samples.ct("b", series=2, PatientName="Smith^Adam", Modality="SR"))
    wire.must_store(client, samples.ct("c", PatientName="smith^eve", StudyDate="20220304"))
    return {name: ids_of(name) for name in "abc"}


def find(client, level="Study", status=200, **question):
    answer = client.post("/tools/find", json={"Level": level, **question})
    assert answer.status_code == status, answer.text
    return answer.json()


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({}, "abc"),
        ({"PatientName": "*"}, "abc"),
        ({"PatientName": ""}, "abc"),
        ({"PatientName": "smith*"}, "bc"),
        ({"PatientName": "muller^anne"}, "a"),
        ({"PatientName": "MÜLLER*"}, "a"),
        ({"PatientID": "P?"}, "abc"),
        ({"PatientID": "Pa\\Pc"}, "ac"),
        ({"StudyDate": "20210101-20221231"}, "bc"),
        ({"StudyDate": "-20201231"}, "a"),
        ({"0010,0020": "Pa"}, "a"),
        ({"0010-0020": "Pa"}, "a"),
        ({"00100020": "Pa"}, "a"),
        ({"PatientID": "Pb", "PatientName": "Smith*"}, "b"),
        ({"ModalitiesInStudy": "SR\\PT"}, "b"),
        ({"StudyInstanceUID": samples.study_uid("c")}, "c"),
        ({"PatientName": "nobody"}, ""),
    ],
)
def test_studies_are_found(client, stored, query, names):
    assert set(find(client, Query=query)) == {stored[name][1] for name in names}


def test_every_level_can_be_asked_for_in_singular_and_plural(client, stored):
    counts = {"Patient": 1, "Study": 1, "Series": 2, "Instance": 2}
    plural = {"Patient": "patients", "Study": "studies", "Series": "series"}
    for level, count in counts.items():
        for name in (level, level.lower(), plural.get(level, "instances")):
            found = find(client, name, Query={"PatientID": "Pb"}, Expand=True)
            assert [each["Type"] for each in found] == [level] * count
    assert find(client, "Series", Query={"Modality": "SR"}) == [ids_of("b", series=2)[2]]
    assert find(client, "Instance", Query={"SOPInstanceUID": samples.sop_uid("a")}) == [
        stored["a"][3]
    ]


def test_a_patient_with_several_matching_studies_is_found_once(client):
    for number in range(3):
        wire.must_store(client, samples.ct(number, PatientID="One"))
    assert find(client, "Patient", Query={"PatientID": "One"}) == [ids_of(0, patient="One")[0]]


def test_what_is_found_can_be_told_in_full(client, stored):
    (told,) = find(client, Query={"PatientID": "Pa"}, Expand=True)
    assert told == get(client, f"/studies/{stored['a'][1]}")
    (told,) = find(client, Query={"PatientID": "Pa"}, Expand=True, Short=True)
    assert told["PatientMainDicomTags"]["0010,0010"] == "Müller^Änne"
    (told,) = find(client, Query={"PatientID": "Pa"}, Expand=True, Full=True)
    assert told["MainDicomTags"]["0020,000d"]["Name"] == "StudyInstanceUID"


def test_pages_do_not_overlap_and_leave_nothing_out(services, connect, stored):
    client = connect(replace(services, limits=Limits(orthanc_resources=2)))
    whole = find(client, "Instance", Query={})
    assert len(whole) == 4
    pages = [find(client, "Instance", Query={}, Since=n, Limit=1)[0] for n in range(4)]
    assert pages == whole
    assert find(client, "Instance", Query={}, Since=1, Limit=2) == whole[1:3]
    assert find(client, "Instance", Query={}, Since=9) == []
    assert find(client, "Instance", Query={}, Limit=0) == whole


def test_case_counts_when_it_should(client, stored):
    assert set(find(client, Query={"PatientName": "smith*"}, CaseSensitive=True)) == {
        stored["c"][1]
    }
    assert find(client, Query={"PatientName": "Muller*"}, CaseSensitive=True) == []
    (told,) = find(
        client,
        "Series",
        Query={"PatientName": "S*", "Modality": "S?"},
        CaseSensitive=True,
        Expand=True,
    )
    assert told["ID"] == ids_of("b", series=2)[2]
    both = find(client, Query={"PatientID": "P*"}, CaseSensitive=True)
    assert (
        find(client, Query={"PatientID": "P*"}, CaseSensitive=True, Since=1, Limit=1) == both[1:2]
    )


@pytest.mark.parametrize(
    "question",
    [
        {},
        {"Level": "Study"},
        {"Query": {}},
        {"Level": 5, "Query": {}},
        {"Level": "Nonsense", "Query": {}},
        {"Level": "Study", "Query": []},
        {"Level": "Study", "Query": {"Nonsense": "x"}},
        {"Level": "Study", "Query": {"PatientID": 5}},
        {"Level": "Study", "Query": {"SeriesInstanceUID": "1.2"}},
        {"Level": "Study", "Query": {"StudyDate": "yesterday"}},
        {"Level": "Study", "Query": {"limit": "5"}},
        {"Level": "Study", "Query": {}, "Limit": -1},
        {"Level": "Study", "Query": {}, "Limit": "x"},
        {"Level": "Study", "Query": {}, "Since": True},
        {"Level": "Study", "Query": {}, "Expand": "yes"},
        {"Level": "Study", "Query": {}, "Labels": ["urgent"]},
        [],
        "x",
        None,
    ],
)
def test_a_question_that_cannot_be_understood_is_refused(client, question):
    answer = client.post("/tools/find", json=question)
    assert answer.status_code == 400
    assert answer.json()["OrthancStatus"] == 8
    assert answer.json()["Details"]


def test_a_question_that_is_no_json_or_too_long_is_refused(client):
    assert client.post("/tools/find", content=b"{").status_code == 400
    assert client.post("/tools/find", content=b"").status_code == 400
    assert client.post("/tools/find", content=b" " * 100_000).status_code == 413
    assert client.post("/tools/find", content=b"[" * 60_000).status_code == 400


def test_fields_of_newer_releases_are_refused_unless_they_are_empty(client, stored):
    empty = {
        "RequestedTags": [],
        "OrderBy": [],
        "Labels": [],
        "ParentPatient": "",
        "ParentStudy": "",
    }
    assert len(find(client, Query={}, **empty)) == 3
    for name, value in {
        "RequestedTags": ["Rows"],
        "OrderBy": [{"Type": "DicomTag"}],
        "MetadataQuery": {"1024": "x"},
        "ParentPatient": stored["a"][0],
        "Labels": ["mine"],
        "Nonsense": 1,
    }.items():
        question = {"Level": "Study", "Query": {}, name: value}
        answer = client.post("/tools/find", json=question)
        assert answer.status_code == 400, answer.text
        assert "label" in answer.json()["Details"] or name in answer.json()["Details"]


def test_results_can_be_asked_for_below_a_study_or_a_series(client, stored):
    _, study, series, instance = stored["a"]
    below = {"ParentStudy": study}
    assert find(client, Level="Instance", Query={}, **below) == [instance]
    assert find(client, Level="Series", Query={}, ParentStudy=study) == [series]
    assert find(client, Level="Instance", Query={}, ParentSeries=series) == [instance]
    assert find(client, Level="Instance", Query={}, ParentSeries="0" * 44) == []
    for wrong in (
        {"Level": "Study", "ParentStudy": study},
        {"Level": "Patient", "ParentSeries": series},
        {"Level": "Instance", "ParentSeries": series, "ParentStudy": study},
        {"Level": "Instance", "ParentSeries": 5},
    ):
        assert client.post("/tools/find", json={"Query": {}, **wrong}).status_code == 400


def test_a_patient_is_looked_up_whatever_the_case(client, stored):
    for identifier in ("PA", "pa", "pA"):
        (found,) = client.post("/tools/lookup", content=identifier).json()
        assert found["ID"] == stored["a"][0]
    for nobody in ("P*", "p?", "*"):
        assert client.post("/tools/lookup", content=nobody).json() == []


def test_an_identifier_is_looked_up_at_every_level(client, stored):
    for level, name, identifier in (
        ("Patient", "patients", "Pa"),
        ("Study", "studies", samples.study_uid("a")),
        ("Series", "series", samples.series_uid("a")),
        ("Instance", "instances", samples.sop_uid("a")),
    ):
        orthanc_id = stored["a"][["Patient", "Study", "Series", "Instance"].index(level)]
        answer = client.post("/tools/lookup", content=identifier)
        assert answer.json() == [{"ID": orthanc_id, "Path": f"/{name}/{orthanc_id}", "Type": level}]
    for nothing in ("nobody", "", "1.2.3", "Aa"):
        assert client.post("/tools/lookup", content=nothing).json() == []


def test_a_patient_without_an_id_is_looked_up_by_nothing(client):
    wire.must_store(client, samples.ct("a", PatientID=None))
    (found,) = client.post("/tools/lookup", content=b"").json()
    assert found["Type"] == "Patient"


def test_changes_are_told_in_order(client, stored):
    told = get(client, "/changes")
    kinds = [change["ChangeType"] for change in told["Changes"]]
    assert kinds.count("NewInstance") == 4
    assert kinds.count("NewSeries") == 4
    assert kinds.count("NewStudy") == kinds.count("NewPatient") == 3
    numbers = [change["Seq"] for change in told["Changes"]]
    assert numbers == sorted(numbers)
    assert (told["Done"], told["Last"]) == (True, numbers[-1])
    first = told["Changes"][0]
    assert set(first) == {"ChangeType", "Date", "ID", "Path", "ResourceType", "Seq"}
    assert get(client, first["Path"])["ID"] == first["ID"]
    assert re.fullmatch(r"\d{8}T\d{6}", first["Date"])


def test_changes_are_told_from_where_the_client_stopped(client, stored):
    whole = get(client, "/changes")["Changes"]
    seen, since, done = [], 0, False
    while not done:
        page = get(client, f"/changes?since={since}&limit=3")
        assert len(page["Changes"]) <= 3
        seen += page["Changes"]
        since, done = page["Last"], page["Done"]
    assert seen == whole
    assert get(client, "/changes?last") == {
        "Changes": whole[-1:],
        "Done": True,
        "Last": whole[-1]["Seq"],
    }
    assert get(client, "/changes?since=1000000") == {
        "Changes": [],
        "Done": True,
        "Last": whole[-1]["Seq"],
    }
    assert get(client, "/changes?since=x", 400)["OrthancStatus"] == 5


def test_an_empty_server_has_no_changes(client):
    assert get(client, "/changes") == {"Changes": [], "Done": True, "Last": 0}
    assert get(client, "/changes?last") == {"Changes": [], "Done": True, "Last": 0}


def test_the_server_says_what_it_is(client):
    told = get(client, "/system")
    assert re.fullmatch(r"\d+\.\d+\.\d+", told["Version"])
    assert told["ApiVersion"] == 16
    assert told["Name"] == "Lenticular"
    assert told["HasLabels"] is False


def test_the_server_tells_the_time(client):
    told = datetime.strptime(client.get("/tools/now").text, "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    assert abs(datetime.now(UTC) - told) < timedelta(seconds=60)


@pytest.mark.parametrize("name", ["jobs", "queries"])
def test_what_there_is_none_of_is_an_empty_list(client, name):
    assert get(client, f"/{name}") == []
    assert get(client, f"/{name}?expand") == []


@pytest.mark.parametrize("name", ["modalities", "peers", "dicom-web/servers"])
def test_no_other_server_is_configured(client, name):
    assert get(client, f"/{name}") == []
    assert get(client, f"/{name}?expand") == {}


def test_dicomweb_is_among_the_plugins(client):
    assert get(client, "/plugins") == ["dicom-web"]
    assert get(client, "/plugins/dicom-web")["ID"] == "dicom-web"


def test_the_character_set_of_files_without_one_is_told(client):
    assert client.get("/tools/default-encoding").text == "Latin1"
