"""Store over HTTP: STOW-RS, PS3.18 10.5."""

import gzip
from collections.abc import Iterator

import httpx2
import pytest

from lenticular.services import Services
from tests.helpers import samples, wire

CANNOT_UNDERSTAND = 0xC000
DUPLICATE_SOP_INSTANCE = 0x0111
PROCESSING_FAILURE = 0x0110
STUDIES = f"{wire.DICOMWEB}/studies"


def counted(services: Services) -> tuple[int, int]:
    """Instances in the index, and files in the storage."""
    files = sum(1 for _ in services.storage.keys("instances/"))
    return services.index.retrieval.statistics().instances, files


def whole(client: httpx2.Client, path: str) -> bytes:
    """The instance's file as stored."""
    accept = {"Accept": "application/dicom; transfer-syntax=*"}
    answer = client.get(wire.DICOMWEB + path, headers=accept)
    assert answer.status_code == 200, answer.text
    return answer.content


def test_a_stored_instance_is_referenced_with_urls_that_work(client):
    answer = wire.store(client, samples.ct("a"))

    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(wire.DICOM_JSON)
    body = answer.json()
    (reference,) = wire.items(body, "00081199")
    assert wire.value(reference, "00081150") == samples.CT_IMAGE_STORAGE
    assert wire.value(reference, "00081155") == samples.sop_uid("a")
    assert reference["00081190"]["vr"] == "UR"
    assert client.get(wire.value(reference, "00081190")).status_code == 200
    assert client.get(wire.value(body, "00081190")).status_code == 200
    assert wire.value(body, "00081190").endswith(f"/studies/{samples.study_uid('a')}")
    assert wire.failed(answer) == []


def test_many_instances_are_stored_by_one_request(client, services):
    answer = wire.store(client, *samples.ct_series("a", 25))

    assert answer.status_code == 200
    assert wire.stored(answer) == [samples.sop_uid("a", 1, number) for number in range(1, 26)]
    assert counted(services) == (25, 25)


@pytest.mark.slow
@pytest.mark.not_on_stack("thousands of instances take longer than API Gateway waits")
def test_each_of_two_thousand_parts_is_accounted_for(client, services):
    one = samples.encode(samples.dataset("a", SOPInstanceUID="1.2.3.100000"))
    parts = [one.replace(b"1.2.3.100000", b"1.2.3.%d" % (100_000 + n)) for n in range(2000)]
    parts[500] = parts[1500] = b"no DICOM"

    answer = wire.store(client, *parts)

    assert answer.status_code == 202
    good = [n for n in range(2000) if n not in (500, 1500)]
    assert wire.stored(answer) == [f"1.2.3.{100_000 + n}" for n in good]
    assert wire.failed(answer) == [(None, CANNOT_UNDERSTAND)] * 2
    assert counted(services) == (1998, 1998)


def test_instances_of_several_studies_are_stored_by_one_request(client):
    answer = wire.store(client, samples.ct("a"), samples.ct("b"))

    assert answer.status_code == 200
    for label in "ab":
        assert whole(client, samples.path(label)) == samples.ct(label)


def test_a_lone_dicom_body_is_stored(client):
    headers = {"Content-Type": "application/dicom"}

    answer = client.post(STUDIES, content=samples.ct("a"), headers=headers)

    assert answer.status_code == 200
    assert wire.stored(answer) == [samples.sop_uid("a")]


def test_a_body_in_chunks_is_stored(client):
    content, headers = wire.multipart(samples.ct("a"), samples.ct("b"))

    def bytewise() -> Iterator[bytes]:
        for begin in range(0, len(content), 7):
            yield content[begin : begin + 7]

    answer = client.post(STUDIES, content=bytewise(), headers=headers)

    assert answer.status_code == 200
    assert whole(client, samples.path("b")) == samples.ct("b")


def test_a_store_to_its_own_study_is_taken(client):
    answer = wire.store(client, samples.ct("a"), study=samples.study_uid("a"))

    assert answer.status_code == 200


def test_a_store_to_another_study_answers_409_and_keeps_nothing(client, services):
    answer = wire.store(client, samples.ct("a"), study=samples.study_uid("b"))

    assert answer.status_code == 409
    assert wire.failed(answer) == [(samples.sop_uid("a"), PROCESSING_FAILURE)]
    assert wire.stored(answer) == []
    assert counted(services) == (0, 0)


def test_of_two_studies_only_the_one_in_the_url_is_stored(client, services):
    files = samples.ct("a"), samples.ct("b")

    answer = wire.store(client, *files, study=samples.study_uid("b"))

    assert answer.status_code == 202
    assert wire.stored(answer) == [samples.sop_uid("b")]
    assert wire.failed(answer) == [(samples.sop_uid("a"), PROCESSING_FAILURE)]
    assert counted(services) == (1, 1)


def test_a_mix_of_good_and_unreadable_parts_answers_202_and_accounts_for_each(client):
    answer = wire.store(client, b"junk", samples.ct("a"), b"", samples.ct("b"))

    assert answer.status_code == 202
    assert wire.stored(answer) == [samples.sop_uid("a"), samples.sop_uid("b")]
    assert wire.failed(answer) == [(None, CANNOT_UNDERSTAND)] * 2


def test_only_unreadable_parts_answer_409(client, services):
    answer = wire.store(client, b"junk", b"more junk")

    assert answer.status_code == 409
    assert wire.failed(answer) == [(None, CANNOT_UNDERSTAND)] * 2
    assert wire.stored(answer) == []
    assert counted(services) == (0, 0)


def test_the_same_bytes_again_are_success_and_change_nothing(client, services):
    wire.must_store(client, samples.ct("a"))

    answer = wire.store(client, samples.ct("a"))

    assert answer.status_code == 200
    assert wire.stored(answer) == [samples.sop_uid("a")]
    assert counted(services) == (1, 1)


def test_the_same_bytes_twice_in_one_request_are_accounted_for_twice_and_kept_once(
    client, services
):
    answer = wire.store(client, samples.ct("a"), samples.ct("a"))

    assert answer.status_code == 200
    assert wire.stored(answer) == [samples.sop_uid("a")] * 2
    assert counted(services) == (1, 1)


def test_other_bytes_under_a_known_uid_answer_409_with_reason_0x0111(client, services):
    wire.must_store(client, samples.ct("a"))

    answer = wire.store(client, samples.ct("a", StudyDescription="changed"))

    assert answer.status_code == 409
    assert wire.failed(answer) == [(samples.sop_uid("a"), DUPLICATE_SOP_INSTANCE)]
    assert whole(client, samples.path("a")) == samples.ct("a")
    assert counted(services) == (1, 1)


def test_two_contents_of_one_uid_in_one_request_keep_the_first(client, services):
    answer = wire.store(client, samples.ct("a"), samples.ct("a", StudyDescription="changed"))

    assert answer.status_code == 202
    assert wire.failed(answer) == [(samples.sop_uid("a"), DUPLICATE_SOP_INSTANCE)]
    assert whole(client, samples.path("a")) == samples.ct("a")
    assert counted(services) == (1, 1)


def test_under_the_policy_replace_other_bytes_take_the_place_of_the_first(
    backend, connect, tmp_path
):
    with backend.services(tmp_path / "data", replace=True) as services:
        client = connect(services)
        wire.must_store(client, samples.ct("a"))
        changed = samples.ct("a", SeriesDescription="changed", InstanceNumber=7)

        wire.must_store(client, changed)

        assert whole(client, samples.path("a")) == changed
        (match,) = wire.search(client, "/instances", InstanceNumber="7")
        assert wire.value(match, "00080018") == samples.sop_uid("a")
        assert counted(services) == (1, 1)


def test_under_the_policy_replace_a_request_may_replace_many(backend, connect, tmp_path):
    with backend.services(tmp_path / "data", replace=True) as services:
        client = connect(services)
        wire.must_store(client, *(samples.ct("a", 1, number) for number in (1, 2, 3)))
        changed = [samples.ct("a", 1, number, SeriesDescription="new") for number in (1, 3)]

        wire.must_store(client, *changed)

        assert [whole(client, samples.path("a", 1, n)) for n in (1, 3)] == changed
        assert counted(services) == (3, 3)


def test_a_study_that_arrives_under_a_second_patient_joins_the_study_it_names(client):
    study = samples.study_uid("a")
    first = samples.ct("a", PatientID="ONE")
    second = samples.ct("a", instance=2, PatientID="TWO", PatientName="Other^Name")

    wire.must_store(client, first)
    answer = wire.store(client, second)

    assert answer.status_code == 202
    (stored,) = answer.json()["00081199"]["Value"]
    assert stored["00081196"]["Value"] == [0xB000]
    assert "another Patient ID" in stored["00000902"]["Value"][0]
    (match,) = wire.search(client, "/studies", StudyInstanceUID=study)
    assert wire.value(match, "00100020") == "ONE"
    assert wire.value(match, "00201208") == 2
    assert whole(client, samples.path("a", 1, 1)) == first
    assert whole(client, samples.path("a", 1, 2)) == second


def test_a_file_of_a_second_patient_is_stored_with_a_warning_by_orthancs_rest(client):
    assert "warning" not in client.post("/instances", content=samples.ct("a")).headers

    answer = client.post("/instances", content=samples.ct("a", instance=2, PatientID="TWO"))

    assert answer.status_code == 200
    assert "another Patient ID" in answer.headers["warning"]


def test_a_series_uid_under_a_second_study_is_another_series(client):
    series = samples.series_uid("a")
    first = samples.ct("a")
    second = samples.ct("b", SeriesInstanceUID=series)

    wire.must_store(client, first)
    wire.must_store(client, second)

    for label, content in (("a", first), ("b", second)):
        study = samples.study_uid(label)
        path = f"/studies/{study}/series/{series}/instances/{samples.sop_uid(label)}"
        assert whole(client, path) == content
        assert len(wire.search(client, f"/studies/{study}/series")) == 1


def test_a_sop_uid_under_a_second_series_is_another_instance(client):
    sop = samples.sop_uid("a")
    first = samples.ct("a")
    second = samples.ct("a", 2, SOPInstanceUID=sop)

    wire.must_store(client, first)
    wire.must_store(client, second)

    study = samples.study_uid("a")
    for series, content in ((1, first), (2, second)):
        uid = samples.series_uid("a", series)
        path = f"/studies/{study}/series/{uid}/instances/{sop}"
        assert whole(client, path) == content
    (match,) = wire.search(client, "/studies", StudyInstanceUID=study)
    assert wire.value(match, "00201208") == 2


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/related; boundary=x",
        'multipart/related; type=application/dicom; boundary="x"',
        'Multipart/Related;boundary=x;type="APPLICATION/DICOM"',
        'multipart/related; type="application/dicom"; start="<1>"; boundary=x; charset=utf-8',
    ],
)
def test_the_content_type_may_be_spelled_in_any_legal_way(client, content_type):
    content, _ = wire.multipart(samples.ct("a"), boundary="x")

    answer = client.post(STUDIES, content=content, headers={"Content-Type": content_type})

    assert answer.status_code == 200, answer.text


def test_a_boundary_may_hold_every_character_that_rfc_2046_allows(client):
    boundary = "'()+_,-./:=? x1"
    content, _ = wire.multipart(samples.ct("a"), boundary=boundary)
    headers = {"Content-Type": f'multipart/related; type="{wire.DICOM}"; boundary="{boundary}"'}

    assert client.post(STUDIES, content=content, headers=headers).status_code == 200


def test_what_stands_before_the_first_and_after_the_last_part_is_ignored(client):
    content, headers = wire.multipart(samples.ct("a"))
    content = b"This is MIME.\r\n" + content + b"\r\nand this the end"

    assert client.post(STUDIES, content=content, headers=headers).status_code == 200


def test_pixels_that_look_almost_like_the_boundary_are_kept_as_they_are(client):
    lookalike = f"\r\n--{wire.BOUNDARY[:-1]}\r\n--\r\n\r\n-".encode()
    file = samples.ct("a", ImageComments="x", PatientComments=lookalike.decode() * 9)
    content, headers = wire.multipart(file)

    for begin in range(1, 60, 13):
        pieces = (content[:begin], content[begin:-begin], content[-begin:])
        answer = client.post(STUDIES, content=iter(pieces), headers=headers)
        assert answer.status_code == 200

    assert whole(client, samples.path("a")) == file


def test_part_headers_may_be_many_and_in_any_case(client):
    content, headers = wire.multipart(samples.ct("a"))
    more = b"content-TYPE:application/dicom;transfer-syntax=1.2.840.10008.1.2.1\r\nContent-ID: <1>"
    content = content.replace(b"Content-Type: application/dicom", more, 1)

    assert client.post(STUDIES, content=content, headers=headers).status_code == 200


def test_a_part_of_another_media_type_is_not_stored_and_is_accounted_for(client, services):
    good, headers = wire.multipart(samples.ct("a"))
    picture, _ = wire.multipart(b"\xff\xd8\xff", media_type="image/jpeg")
    end = f"--{wire.BOUNDARY}--\r\n".encode()

    answer = client.post(STUDIES, content=good.removesuffix(end) + picture, headers=headers)

    assert answer.status_code == 202
    assert wire.stored(answer) == [samples.sop_uid("a")]
    assert len(wire.failed(answer)) == 1
    assert counted(services) == (1, 1)


def test_a_gzipped_body_is_stored_or_refused_as_415_and_never_as_junk(client):
    content, headers = wire.multipart(samples.ct("a"))
    headers["Content-Encoding"] = "gzip"

    answer = client.post(STUDIES, content=gzip.compress(content), headers=headers)

    assert answer.status_code in (200, 415)


@pytest.mark.parametrize("name", samples.gallery())
def test_every_kind_of_file_is_stored(client, name):
    answer = wire.store(client, samples.gallery()[name])

    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("accept", ["*/*", "application/json", "application/*;q=0.5", ""])
def test_the_answer_is_dicom_json_for_every_accept_that_allows_it(client, accept):
    content, headers = wire.multipart(samples.ct("a"))

    answer = client.post(STUDIES, content=content, headers={**headers, "Accept": accept})

    assert answer.status_code == 200
    assert wire.stored(answer) == [samples.sop_uid("a")]


def test_a_long_reason_is_short_in_the_error_comment_and_whole_beside_it(client):
    """ErrorComment holds 64 characters; UIDs have attributes of their own."""
    answer = wire.store(client, samples.ct("a"), study=samples.study_uid("b"))
    (failure,) = wire.items(answer.json(), "00081198")
    comment, whole = wire.value(failure, "00000902"), wire.value(failure, "00091001")
    assert comment == "It belongs to another study than the URL names."
    assert whole.startswith(comment[:-1])
    assert samples.study_uid("a") in whole
    assert failure["00090010"] == {"vr": "LO", "Value": ["LENTICULAR"]}
    assert wire.value(failure, "0020000D") == samples.study_uid("a")
    assert wire.value(failure, "0020000E") == samples.series_uid("a")
    assert list(failure) == sorted(failure)
