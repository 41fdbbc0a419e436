"""What QIDO-RS answers (PS3.18 10.6.3): attributes, order, pages and warnings."""

from contextlib import closing
from dataclasses import replace

import pytest

from lenticular.index import Index
from lenticular.limits import Limits
from tests.helpers import samples, wire
from tests.helpers.wire import DICOM_JSON, DICOMWEB, assert_error, must_store, search, uids

STUDY_TAGS = {
    *("00080020", "00080030", "00080050", "00080056", "00080061", "00080090", "00081190"),
    *("00100010", "00100020", "00100030", "00100040", "0020000D", "00200010", "00201206"),
    "00201208",
}
SERIES_TAGS = {"00080060", "0008103E", "00081190", "0020000E", "00200011", "00201209"}
INSTANCE_TAGS = {
    *("00080016", "00080018", "00080056", "00081190", "00200013", "00280010", "00280011"),
    "00280100",
}

NOT_COUNTED = (
    "The number of results exceeded the maximum supported by the server. "
    "Additional results can be requested."
)


@pytest.fixture
def base(client):
    """Where the client finds DICOMweb."""
    return str(client.base_url).rstrip("/") + DICOMWEB


@pytest.fixture
def study(client):
    """The UID of a study of two series, of two instances and of one."""
    must_store(
        client,
        *samples.ct_series("a", 2),
        samples.ct("a", 2, 1, Modality="MR", SeriesDescription=None),
    )
    return samples.study_uid("a")


def test_studies_are_answered_with_the_required_attributes(client, study, base):
    (match,) = search(client)

    assert match.keys() >= STUDY_TAGS
    assert list(match) == sorted(match)
    assert match["00080061"] == {"vr": "CS", "Value": ["CT", "MR"]}
    assert match["00081190"] == {"vr": "UR", "Value": [f"{base}/studies/{study}"]}
    assert match["00201206"] == {"vr": "IS", "Value": [2]}
    assert match["00201208"] == {"vr": "IS", "Value": [3]}
    assert match["00080056"] == {"vr": "CS", "Value": ["ONLINE"]}


def test_required_attributes_without_a_value_are_answered_empty(client):
    must_store(
        client,
        samples.ct("a", PatientName=None, PatientID="", StudyDate=None, Modality=None),
    )

    (match,) = search(client)

    assert match["00100010"] == {"vr": "PN"}
    assert match["00100020"] == {"vr": "LO"}
    assert match["00080020"] == {"vr": "DA"}
    assert "00080061" not in match  # left out rather than empty


def test_series_are_answered_with_their_study_unless_the_path_names_it(client, study, base):
    _, everywhere = search(client, "/series")
    first, second = search(client, f"/studies/{study}/series")

    assert everywhere.keys() >= STUDY_TAGS | SERIES_TAGS - {"0008103E"}
    assert first.keys() >= SERIES_TAGS
    assert not first.keys() & {"00080020", "00100010", "00201206"}
    assert first["00201209"]["Value"] == [2]
    assert second["00201209"]["Value"] == [1]
    series = samples.series_uid("a", 1)
    assert first["00081190"]["Value"] == [f"{base}/studies/{study}/series/{series}"]
    assert wire.value(first, "0020000D") == study  # unique keys are answered in any case


def test_instances_are_answered_with_what_the_path_leaves_open(client, study, base):
    series = samples.series_uid("a", 1)

    everywhere = search(client, "/instances")
    in_study = search(client, f"/studies/{study}/instances")
    in_series = search(client, f"/studies/{study}/series/{series}/instances")

    assert [len(each) for each in (everywhere, in_study, in_series)] == [3, 3, 2]
    assert everywhere[0].keys() >= STUDY_TAGS | SERIES_TAGS | INSTANCE_TAGS
    assert in_study[0].keys() >= SERIES_TAGS | INSTANCE_TAGS
    assert "00100010" not in in_study[0]
    assert in_series[0].keys() >= INSTANCE_TAGS
    assert not in_series[0].keys() & {"00100010", "00080060"}
    url = f"{base}{samples.path('a', 1, 1)}"
    assert [match["00081190"]["Value"] for match in (everywhere[0], in_series[0])] == [[url]] * 2


@pytest.mark.parametrize(
    ("path", "field", "tags"),
    [
        ("/studies", "StudyDescription", ["00081030"]),
        ("/studies", "00081030,00080060,00080090,00100030", ["00081030", "00080090", "00100030"]),
        ("/studies", "SOPClassesInStudy", ["00080062"]),
        ("/studies/{study}/series", "0008103E,00080021", ["0008103E", "00080021"]),
        ("/studies/{study}/series", "PatientName", ["00100010"]),
        ("/studies/{study}/series", "BodyPartExamined", ["00180015"]),
        ("/instances", "ImagePositionPatient", ["00200032"]),
        ("/instances", "WindowCenter,RescaleSlope", ["00281050", "00281053"]),
        ("/instances", "RescaleSlope", ["00281053"]),
        ("/instances", "AvailableTransferSyntaxUID", ["00083002"]),
        ("/studies/{study}/instances", "StudyDescription", ["00081030"]),
    ],
)
def test_further_attributes_are_included_when_asked_for(client, study, path, field, tags):
    path = path.format(study=study)
    without = search(client, path)[0]

    match = search(client, path, includefield=field)[0]

    assert match.keys() == without.keys() | set(tags)
    assert all(match[tag]["Value"] for tag in tags)


def test_includefield_may_be_repeated(client, study):
    answer = client.get(f"{DICOMWEB}/studies?includefield=PatientID&includefield=InstitutionName")
    assert answer.status_code == 200
    answer = client.get(f"{DICOMWEB}/instances?includefield=RescaleSlope&includefield=00281052")

    assert answer.json()[0].keys() >= {"00281053", "00281052"}


def test_all_attributes_of_the_level_can_be_included(client, study):
    (match,) = search(client, includefield="all")
    assert match.keys() >= STUDY_TAGS | {"00081030", "00080062"}
    assert "0008103E" not in match

    series = search(client, f"/studies/{study}/series", includefield="all")[0]
    assert series.keys() >= SERIES_TAGS | {"00180015", "00080070"}

    instance = search(client, "/instances", includefield="all")[0]
    metadata = client.get(f"{DICOMWEB}{samples.path('a')}/metadata").json()[0]
    assert instance.keys() >= metadata.keys()
    assert all(instance[tag] == metadata[tag] for tag in metadata.keys() - {"00081190"})


def test_a_file_does_not_say_what_the_service_says(client, base):
    must_store(
        client,
        samples.ct(
            "a",
            RetrieveURL="http://elsewhere/",
            InstanceAvailability="OFFLINE",
            NumberOfStudyRelatedInstances=99,
        ),
    )

    for path in ("/studies", "/series", "/instances"):
        answer = client.get(f"{DICOMWEB}{path}?includefield=all")
        assert answer.text.count('"00081190"') == answer.text.count('"00080056"') == 1
        (match,) = answer.json()
        assert wire.value(match, "00081190").startswith(base)
        assert wire.value(match, "00080056") == "ONLINE"
        assert wire.value(match, "00201208") == 1


def test_an_instance_is_told_with_the_patient_of_its_study(client):
    wire.store(client, samples.ct("a", 1, 1), samples.ct("a", 1, 2, PatientID="other"))

    for matches in (search(client, "/instances"), search(client, "/instances", includefield="all")):
        assert [wire.value(match, "00100020") for match in matches] == ["Pa", "Pa"]


def test_matched_attributes_are_answered_too(client, study):
    (match,) = search(client, StudyDescription="head*")

    assert wire.value(match, "00081030") == "Head plain"


def test_a_study_keeps_the_attributes_of_its_first_instance(client):
    wire.store(client, samples.ct("a", 1, 1), samples.ct("a", 1, 2, PatientID="other"))

    (match,) = search(client)

    assert wire.value(match, "00100020") == "Pa"
    assert wire.value(match, "00201208") == 2


def test_studies_come_newest_first_and_pages_never_overlap(client):
    days = ["20240105", "20240101", "20240103", "20240103", "", "20240103"]
    must_store(client, *(samples.ct(n, StudyDate=day) for n, day in enumerate(days)))

    everything = uids(search(client))
    pages = [uids(search(client, limit=2, offset=offset)) for offset in range(0, 8, 2)]

    expected = [samples.study_uid(n) for n in (0, 5, 3, 2, 1, 4)]
    assert everything == expected
    assert [uid for page in pages for uid in page] == expected
    assert pages[3] == []


def test_series_and_instances_come_by_their_numbers(client):
    must_store(
        client,
        *(samples.ct("a", series, 1, SeriesNumber=11 - series) for series in (1, 10, 2)),
        *(samples.ct("b", 1, n, StudyDate="20250101") for n in (10, 9, 2)),
    )

    series = search(client, f"/studies/{samples.study_uid('a')}/series")
    assert [wire.value(match, "00200011") for match in series] == [1, 9, 10]
    instances = search(client, "/instances")
    assert [wire.value(match, "00200013") for match in instances[:3]] == [2, 9, 10]
    assert uids(instances)[3:] == [samples.study_uid("a")] * 3


def test_a_limit_of_none_answers_none(client, study):
    assert search(client, limit=0) == []


def test_what_is_not_known_is_ignored_with_a_warning(client, study, base):
    query = "?Nonsense=1&SeriesDescription=x&PatientID=Pa&includefield=Gibberish"
    answer = client.get(f"{DICOMWEB}/studies{query}")

    assert len(answer.json()) == 1
    warnings = answer.headers.get_list("warning")
    assert len(warnings) == 3
    assert all(warning.startswith(f"299 {base}: ") for warning in warnings)
    for word in ("Nonsense", "SeriesDescription", "Gibberish"):
        assert any(word in warning for warning in warnings)


def test_a_warning_holds_nothing_that_breaks_a_header(client, study):
    answer = client.get(f"{DICOMWEB}/studies", params={"ü\r\nSet-Cookie: a": "1"})

    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers
    assert "warning" in answer.headers


@pytest.mark.parametrize(("query", "remaining"), [("limit=2", 1), ("limit=1&offset=1", 1)])
def test_a_page_says_how_many_results_remain(client, study, base, query, remaining):
    answer = client.get(f"{DICOMWEB}/instances?{query}")

    assert answer.headers["warning"] == (
        f"299 {base}: There are {remaining} additional results that can be requested."
    )


def test_the_last_page_has_no_warning(client, study):
    answer = client.get(f"{DICOMWEB}/instances?limit=2&offset=1")

    assert len(answer.json()) == 2
    assert "warning" not in answer.headers


def test_results_that_only_a_look_at_every_study_could_count_are_not_counted(client, study, base):
    answer = client.get(f"{DICOMWEB}/instances?limit=2&SOPClassUID=*&Rows=*&InstanceNumber=1,2,3")

    assert answer.headers["warning"] == f"299 {base}: {NOT_COUNTED}"


def test_more_results_than_are_counted_are_told_without_a_number(services, connect, study, base):
    url = services.index.database.url.render_as_string(hide_password=False)
    with closing(Index(url, limits=Limits(counted_results=1))) as index:
        client = connect(replace(services, index=index))
        answer = client.get(f"{DICOMWEB}/instances?limit=1")

    assert answer.headers["warning"] == f"299 {base}: {NOT_COUNTED}"


def test_our_maximum_is_one_and_is_told(services, connect, study, base):
    client = connect(replace(services, limits=Limits(search_results=2)))

    answer = client.get(f"{DICOMWEB}/instances")
    assert len(answer.json()) == 2
    assert answer.headers["warning"] == (
        f"299 {base}: There are 1 additional results that can be requested."
    )
    assert len(search(client, "/instances", offset=2)) == 1

    larger = client.get(f"{DICOMWEB}/instances?limit=3")
    assert (len(larger.json()), larger.headers["warning"]) == (2, answer.headers["warning"])


@pytest.mark.not_on_stack(wire.BY_HOST)
def test_retrieve_urls_follow_the_address_the_client_used(client, study):
    answer = client.get(
        f"{DICOMWEB}/studies", headers={"Host": "localhost:4242", "Accept": DICOM_JSON}
    )

    url = wire.value(answer.json()[0], "00081190")
    assert url == f"http://localhost:4242/dicom-web/studies/{study}"


def test_the_same_series_uid_in_two_studies_is_two_series(client):
    series = samples.series_uid("a")
    must_store(client, samples.ct("a"), samples.ct("b", SeriesInstanceUID=series))

    matches = search(client, "/series", SeriesInstanceUID=series)

    assert sorted(uids(matches)) == sorted(map(samples.study_uid, "ab"))
    assert all(wire.value(match, "00201209") == 1 for match in matches)


def test_delete_takes_away_an_instance_and_what_it_leaves_empty(client, study):
    series = f"/studies/{study}/series/{samples.series_uid('a', 2)}"
    path = f"{series}/instances/{samples.sop_uid('a', 2, 1)}"

    assert client.delete(DICOMWEB + path).status_code == 204
    (match,) = search(client)
    assert wire.value(match, "00201206") == 1
    assert wire.value(match, "00201208") == 2
    assert match["00080061"]["Value"] == ["CT"]
    assert_error(client.delete(DICOMWEB + path), 404)
    assert_error(client.delete(DICOMWEB + series), 404)


def test_delete_takes_away_a_study_with_its_files(client, services, study):
    assert client.delete(f"{DICOMWEB}/studies/{study}").status_code == 204

    assert search(client) == []
    assert list(services.storage.keys("instances/")) == []
    assert_error(client.delete(f"{DICOMWEB}/studies/{study}"), 404)
    assert_error(client.get(f"{DICOMWEB}/studies/{study}"), 410)


def test_delete_of_a_series_leaves_the_others(client, study):
    path = f"{DICOMWEB}/studies/{study}/series/{samples.series_uid('a', 1)}"

    assert client.delete(path).status_code == 204

    (left,) = search(client, "/series")
    assert wire.value(left, "0020000E") == samples.series_uid("a", 2)
    assert left["00080061"]["Value"] == ["MR"]
