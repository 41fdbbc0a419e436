"""`POST /instances` as Orthanc answers it. What is expected was recorded from Orthanc 1.10.1."""

import gzip

import pytest

from lenticular.dicom.orthanc_id import orthanc_id
from lenticular.web.routes.orthanc.content_decoding import PIECE_BYTES, Inflater
from tests.helpers import samples
from tests.helpers.files.damaged_zip import damaged_zip
from tests.helpers.http.orthanc import ids_of

INSTANCES = "/instances"


def told(status, study="a", **place):
    patient, study, series, instance = ids_of(study, **place)
    return {
        "ID": instance,
        "ParentPatient": patient,
        "ParentSeries": series,
        "ParentStudy": study,
        "Path": f"/instances/{instance}",
        "Status": status,
    }


def assert_orthanc_error(answer, status, orthanc_status):
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert body["HttpStatus"] == status
    assert body["OrthancStatus"] == orthanc_status
    assert body["Details"]
    assert body["Method"] == "POST"
    assert body["Uri"] == INSTANCES
    assert body["Message"] == body["OrthancError"]


def test_a_new_instance_answers_success_with_the_ids_of_all_levels(client):
    answer = client.post(INSTANCES, content=samples.ct())
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == told("Success", study=1)


def test_the_content_type_does_not_matter(client):
    for number, content_type in enumerate(("application/dicom", "text/html", "")):
        answer = client.post(
            INSTANCES, content=samples.ct(number), headers={"Content-Type": content_type}
        )
        assert answer.json()["Status"] == "Success"


def test_an_instance_that_is_there_already_answers_so(client):
    client.post(INSTANCES, content=samples.ct("a"))
    answer = client.post(INSTANCES, content=samples.ct("a"))
    assert answer.status_code == 200
    assert answer.json() == told("AlreadyStored")


def test_other_bytes_under_a_known_uid_leave_the_first_in_place(client):
    client.post(INSTANCES, content=samples.ct("a"))
    answer = client.post(INSTANCES, content=samples.ct("a", PatientName="Other^One"))
    assert answer.status_code == 200
    assert answer.json() == told("AlreadyStored")
    assert client.get(answer.json()["Path"] + "/file").content == samples.ct("a")


def test_a_file_of_another_patient_under_known_uids_is_a_conflict(client):
    client.post(INSTANCES, content=samples.ct("a"))
    other = samples.ct("a", PatientID="somebody else")
    answer = client.post(INSTANCES, content=other)
    assert_orthanc_error(answer, 409, 8)
    details = answer.json()["Details"]
    assert ids_of("a")[0] in details
    assert orthanc_id("somebody else") in details
    assert client.get(f"/instances/{ids_of('a')[3]}/file").content == samples.ct("a")


def test_a_zip_lists_what_is_of_another_patient(client):
    client.post(INSTANCES, content=samples.ct("a"))
    files = {"1": samples.ct("b"), "2": samples.ct("a", PatientID="somebody else")}
    answer = client.post(INSTANCES, content=samples.zipped(files))
    assert answer.status_code == 200
    stored, refused = answer.json()
    assert stored == told("Success", study="b")
    assert refused["Status"] == "Failure"
    assert "another" in refused["Details"] or ids_of("a")[0] in refused["Details"]
    assert answer.headers["warning"] == '299 - "1 of 2 files were not stored: 2"'


def test_a_zip_answers_a_list_and_passes_over_what_is_no_dicom(client):
    content = samples.zipped(
        {
            "folder/1": samples.ct("a", instance=1),
            "read me.txt": b"Hello",
            "folder/2": samples.ct("a", instance=2),
            "broken.dcm": samples.ct("a", instance=3)[:200],
        }
    )
    answer = client.post(INSTANCES, content=content)
    assert answer.status_code == 200
    assert answer.json() == [told("Success", instance=1), told("Success", instance=2)]
    left_out = "2 of 4 files were not stored: read me.txt, broken.dcm"
    assert answer.headers["warning"] == f'299 - "{left_out}"'


@pytest.mark.parametrize("damaged", [0, 1, 2])
def test_of_a_zip_with_a_damaged_file_the_others_are_stored(client, damaged):
    files = {f'"\u00e4{number}"': samples.ct("z", instance=number) for number in range(3)}
    answer = client.post(INSTANCES, content=damaged_zip(files, damaged))
    assert answer.status_code == 200
    whole = [number for number in range(3) if number != damaged]
    assert answer.json() == [told("Success", "z", instance=number) for number in whole]
    left_out = f"1 of 3 files were not stored: ??{damaged}?"
    assert answer.headers["warning"] == f'299 - "{left_out}"'


def test_a_zip_whose_files_are_all_damaged_is_a_bad_file(client):
    content = damaged_zip({"a": samples.ct()}, 0)
    assert_orthanc_error(client.post(INSTANCES, content=content), 400, 15)


def test_a_zip_of_many_instances_is_stored_batch_by_batch(client, services):
    files = {str(number): samples.ct("a", instance=number) for number in range(1, 151)}
    answer = client.post(INSTANCES, content=samples.zipped(files))
    assert [each["Status"] for each in answer.json()] == ["Success"] * 150
    assert services.index.retrieval.statistics().instances == 150


def test_a_zip_without_dicom_answers_an_empty_list(client):
    answer = client.post(INSTANCES, content=samples.zipped({"read me.txt": b"Hello"}))
    assert answer.status_code == 200
    assert answer.json() == []


def test_a_broken_zip_is_a_bad_file(client):
    content = samples.zipped({"a": samples.ct()})
    assert_orthanc_error(client.post(INSTANCES, content=content[:-10]), 400, 15)


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "GZIP"])
def test_a_body_may_be_gzipped(client, encoding):
    content = gzip.compress(samples.ct("a"))
    answer = client.post(INSTANCES, content=content, headers={"Content-Encoding": encoding})
    assert answer.json() == told("Success")
    assert client.get(answer.json()["Path"] + "/file").content == samples.ct("a")


def test_a_gzipped_zip_is_a_zip(client):
    content = gzip.compress(samples.zipped({"1": samples.ct("a")}))
    answer = client.post(INSTANCES, content=content, headers={"Content-Encoding": "gzip"})
    assert answer.json() == [told("Success")]


def test_a_gzip_file_without_content_encoding_is_no_dicom(client):
    assert_orthanc_error(client.post(INSTANCES, content=gzip.compress(samples.ct())), 400, 15)


@pytest.mark.parametrize(
    "broken", [b"junk", gzip.compress(b"x" * 9999, mtime=0)[:-15]], ids=["junk", "cut"]
)
def test_a_body_that_is_not_what_its_encoding_says_is_refused(client, broken):
    answer = client.post(INSTANCES, content=broken, headers={"Content-Encoding": "gzip"})
    assert_orthanc_error(answer, 400, 15)


@pytest.mark.parametrize("size", [0, 1, PIECE_BYTES, PIECE_BYTES + 1, 5 * PIECE_BYTES])
def test_inflating_gives_all_of_it_in_pieces_that_are_small(size):
    inflater = Inflater(10 * PIECE_BYTES)
    packed = gzip.compress(bytes(size)) + gzip.compress(b"end")
    pieces = [piece for part in (packed[:9], packed[9:]) for piece in inflater.feed(part)]
    inflater.finish()
    assert b"".join(pieces) == bytes(size) + b"end"
    assert max(map(len, pieces)) <= PIECE_BYTES


def test_a_form_stores_its_files_and_answers_a_list(client):
    files = [
        ("one", ("1.dcm", samples.ct("a"))),
        ("two", ("2.zip", samples.zipped({"x": samples.ct("b")}))),
    ]
    answer = client.post(INSTANCES, files=files, data={"comment": "no file"})
    assert answer.status_code == 200
    assert answer.json() == [told("Success"), told("Success", study="b")]


def test_a_form_with_a_bad_file_stores_the_good_ones_and_says_so(client):
    files = [("one", ("1.dcm", b"junk")), ("two", ("2.dcm", samples.ct("a")))]
    answer = client.post(INSTANCES, files=files)
    assert answer.json() == [told("Success")]
    assert answer.headers["warning"] == '299 - "1 of 2 files were not stored"'


def test_a_form_with_nothing_but_bad_files_is_refused(client):
    answer = client.post(INSTANCES, files=[("one", ("1.dcm", b"junk"))])
    assert_orthanc_error(answer, 400, 15)


def test_a_form_without_files_is_refused(client):
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    field = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n--x--\r\n'
    assert_orthanc_error(client.post(INSTANCES, content=field, headers=headers), 400, 15)


@pytest.mark.not_on_stack("LocalStack reads forms and writes them anew")
def test_a_form_of_countless_bad_files_is_refused_on_the_way(client):
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    file = b'--x\r\nContent-Disposition: form-data; name="a"; filename="a"\r\n\r\nb\r\n'
    answer = client.post(INSTANCES, content=file * 10_001 + b"--x--\r\n", headers=headers)
    assert answer.status_code == 413
    assert "10,000 files of the form" in answer.json()["Details"]


@pytest.mark.not_on_stack("LocalStack reads forms and writes them anew")
@pytest.mark.parametrize(
    ("content_type", "content"),
    [
        ("multipart/form-data", b"--x--"),
        ("multipart/form-data; boundary=x", b"junk"),
        ("multipart/form-data; boundary=x", b"--x\r\n\r\nb"),
        ("multipart/form-data; boundary=x", b"--x\r\nA: " + b"b" * 20_000),
    ],
)
def test_a_malformed_form_is_refused(client, content_type, content):
    headers = {"Content-Type": content_type}
    assert_orthanc_error(client.post(INSTANCES, content=content, headers=headers), 400, 8)


def test_an_empty_body_is_a_bad_file(client):
    assert_orthanc_error(client.post(INSTANCES), 400, 15)
    assert_orthanc_error(client.post(INSTANCES, content=b""), 400, 15)


def test_junk_is_a_bad_file(client):
    assert_orthanc_error(client.post(INSTANCES, content=b"junk" * 100), 400, 15)


def test_a_file_without_a_uid_is_a_bad_file(client):
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        content = samples.ct(**{keyword: None})
        assert_orthanc_error(client.post(INSTANCES, content=content), 400, 15)


def test_the_path_may_end_with_a_slash(client):
    assert client.post(INSTANCES + "/", content=samples.ct("a")).json() == told("Success")


def test_another_method_answers_405_and_says_which_there_are(client):
    answer = client.put(INSTANCES, content=samples.ct())
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS, POST"
    assert answer.json()["HttpStatus"] == 405


def test_a_patient_id_makes_the_same_ids_as_in_orthanc(client):
    content = samples.ct("a", PatientID=" é|x ")
    assert client.post(INSTANCES, content=content).json() == told("Success", patient=" é|x")
    answer = client.post(INSTANCES, content=samples.ct("b", PatientID=None)).json()
    assert answer["ParentPatient"] == "da39a3ee-5e6b4b0d-3255bfef-95601890-afd80709"
