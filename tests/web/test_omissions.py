"""Answers of many of which something is damaged or gone: the rest comes, and it is named."""

import io
import zipfile
from dataclasses import replace

import httpx2
import pydicom
import pytest

from lenticular.limits import Limits
from lenticular.services import Services
from lenticular.web.app import create_app
from tests.helpers import samples, wire
from tests.helpers.backends import Backend, Uvicorn
from tests.helpers.files.jpeg_2000 import jpeg_2000
from tests.helpers.http.retrieve import ANY_DICOM, get
from tests.helpers.omissions import assert_partial, lose, study, warnings_of

EXPLICIT = "1.2.840.10008.1.2.1"
UNCOMPRESSED = f'multipart/related; type="application/dicom"; transfer-syntax={EXPLICIT}'
ZIP = "application/zip"
OCTETS = "multipart/related; type=application/octet-stream"


def uids_of(answer) -> list[str]:
    files = [body for _, body in wire.parts(answer)]
    return [str(pydicom.dcmread(io.BytesIO(file)).SOPInstanceUID) for file in files]


def test_a_study_with_a_damaged_image_comes_without_it_in_another_transfer_syntax(client):
    wire.must_store(
        client, *(jpeg_2000("five", each, broken=(1,) if each == 3 else ()) for each in range(1, 6))
    )
    answer = get(client, study("five"), UNCOMPRESSED)
    assert_partial(answer, samples.sop_uid("five", 1, 3))
    assert uids_of(answer) == [samples.sop_uid("five", 1, each) for each in (1, 2, 4, 5)]
    as_stored = get(client, study("five"), ANY_DICOM)
    assert as_stored.status_code == 200
    assert len(wire.parts(as_stored)) == 5


def test_a_zip_with_a_damaged_image_comes_without_it_in_another_transfer_syntax(client):
    wire.must_store(client, jpeg_2000("zip", 1), jpeg_2000("zip", 2, broken=(1,)))
    answer = get(client, study("zip"), f"{ZIP}; transfer-syntax={EXPLICIT}")
    assert_partial(answer, samples.sop_uid("zip", 1, 2))
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        assert len(archive.namelist()) == 1


@pytest.mark.parametrize("accept", [ANY_DICOM, ZIP, UNCOMPRESSED])
def test_a_study_comes_without_an_instance_whose_file_is_gone(client, services: Services, accept):
    wire.must_store(client, *samples.ct_series("gone", 3))
    lose(services, "gone", 2)
    answer = get(client, study("gone"), accept)
    assert_partial(answer, samples.sop_uid("gone", 1, 2), "gone")
    assert answer.content.count(b"DICM") == 2


def test_a_study_comes_without_an_instance_whose_file_was_cut_short(client, services: Services):
    wire.must_store(client, *samples.ct_series("short", 2))
    uid = samples.sop_uid("short", 1, 2)
    (key,) = [key for key, _, _ in services.storage.keys("instances/") if f"/{uid}-" in key]
    content = services.storage.read(key)
    services.storage.delete(key)
    with services.new_spool() as spool:
        spool.write(content[:1000])
        services.storage.put(key, spool)
    answer = get(client, study("short"), ANY_DICOM)
    assert_partial(answer, uid)
    assert uids_of(answer) == [samples.sop_uid("short", 1, 1)]


def test_an_archive_of_orthanc_comes_without_an_instance_whose_file_is_gone(
    client, services: Services
):
    wire.must_store(client, *samples.ct_series("archive", 3))
    lose(services, "archive", 2)
    (orthanc_id,) = client.get("/studies").json()
    answer = client.get(f"/studies/{orthanc_id}/archive")
    assert_partial(answer, samples.sop_uid("archive", 1, 2))
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert len(archive.namelist()) == 2


@pytest.mark.parametrize("accept", [ANY_DICOM, ZIP, UNCOMPRESSED])
def test_when_nothing_can_be_had_the_answer_is_the_error_of_one(client, services: Services, accept):
    wire.must_store(client, *samples.ct_series("all gone", 2))
    for instance in (1, 2):
        lose(services, "all gone", instance)
    wire.assert_error(get(client, study("all gone"), accept), 404)
    (orthanc_id,) = client.get("/studies").json()
    assert client.get(f"/studies/{orthanc_id}/archive").status_code == 404


def test_when_every_image_is_damaged_the_answer_is_406_with_the_reason(client):
    wire.must_store(client, *(jpeg_2000("all broken", each, broken=(1,)) for each in (1, 2)))
    wire.assert_error(get(client, study("all broken"), UNCOMPRESSED), 406)


def test_frames_come_without_the_damaged_one(client):
    wire.must_store(client, jpeg_2000("frames", 1, frames=3, broken=(2,)))
    path = samples.path("frames") + "/frames/"
    answer = get(client, path + "1,2,3", OCTETS)
    assert_partial(answer, "frame 2 of instance")
    locations = [headers["Content-Location"][-8:] for headers, _ in wire.parts(answer)]
    assert locations == ["frames/1", "frames/3"]
    wire.assert_error(get(client, path + "2", OCTETS), 406)
    assert get(client, path + "1,3", OCTETS).status_code == 200
    pictures = get(client, path + "1,2,3/rendered", "multipart/related; type=image/png")
    assert_partial(pictures, "frame 2 of instance")
    assert len(wire.parts(pictures)) == 2
    wire.assert_error(get(client, path + "2/rendered"), 406)


def test_an_animation_is_406_when_one_of_its_frames_is_damaged(client):
    wire.must_store(client, jpeg_2000("animation", 1, frames=3, broken=(2,)))
    path = samples.path("animation")
    wire.assert_error(get(client, path + "/rendered", "image/gif"), 406)
    for whole in (1, 3):
        assert get(client, f"{path}/frames/{whole}/rendered", "image/gif").status_code == 200


def test_pixels_and_bulk_data_of_a_study_come_without_those_that_are_gone(
    client, services: Services
):
    wire.must_store(client, *samples.ct_series("bulk", 3, size=64))
    lose(services, "bulk", 2)
    for resource in ("/pixeldata", "/bulkdata"):
        answer = get(client, study("bulk") + resource)
        assert_partial(answer, samples.sop_uid("bulk", 1, 2))
        assert len(wire.parts(answer)) == 2


def test_pixels_of_a_study_come_without_a_frame_that_is_damaged(client):
    wire.must_store(client, jpeg_2000("pixels", 1), jpeg_2000("pixels", 2, frames=2, broken=(1,)))
    answer = get(client, study("pixels") + "/pixeldata", OCTETS)
    assert_partial(answer, f"frame 1 of instance {samples.sop_uid('pixels', 1, 2)}")
    assert len(wire.parts(answer)) == 2


def test_pictures_of_a_study_come_without_those_that_are_damaged_or_gone(
    client, services: Services
):
    wire.must_store(client, *(jpeg_2000("pictures", each) for each in (1, 3)))
    wire.must_store(client, jpeg_2000("pictures", 2, broken=(1,)))
    lose(services, "pictures", 3)
    answer = get(client, study("pictures") + "/rendered", "multipart/related; type=image/png")
    assert_partial(answer, samples.sop_uid("pictures", 1, 2), samples.sop_uid("pictures", 1, 3))
    assert len(wire.parts(answer)) == 1


@pytest.mark.parametrize("resource", ["/rendered", "/thumbnail"])
def test_another_image_stands_for_a_study_whose_representative_is_damaged(client, resource):
    wire.must_store(
        client, *(jpeg_2000("stands", each, broken=(1,) if each == 2 else ()) for each in (1, 2, 3))
    )
    series = f"{study('stands')}/series/{samples.series_uid('stands')}"
    of_the_next = get(client, samples.path("stands", instance=3) + resource)
    for place in (study("stands"), series):
        answer = get(client, place + resource)
        assert answer.status_code == 200
        assert answer.content == of_the_next.content
        etag = answer.headers["etag"]
        assert get(client, place + resource, **{"if-none-match": etag}).status_code == 304


@pytest.mark.parametrize("resource", ["/rendered", "/thumbnail"])
def test_another_image_stands_for_a_study_whose_representative_is_gone(
    client, services: Services, resource
):
    wire.must_store(client, *samples.ct_series("taken", 7))
    for instance in (4, 5, 6, 7, 1):
        lose(services, "taken", instance)
    of_the_next = get(client, samples.path("taken", instance=2) + resource)
    for place in (study("taken"), f"{study('taken')}/series/{samples.series_uid('taken')}"):
        answer = get(client, place + resource)
        assert answer.status_code == 200
        assert answer.content == of_the_next.content
    wire.assert_error(get(client, samples.path("taken", instance=4) + resource), 404)


@pytest.mark.parametrize("resource", ["/rendered", "/thumbnail"])
def test_an_image_stands_for_a_study_of_which_one_image_is_damaged_and_another_gone(
    client, services: Services, resource
):
    broken = {2: (1,), 4: (1,)}
    wire.must_store(
        client, *(jpeg_2000("both", each, broken=broken.get(each, ())) for each in (1, 2, 3, 4))
    )
    lose(services, "both", 3)
    answer = get(client, study("both") + resource)
    assert answer.status_code == 200
    assert answer.content == get(client, samples.path("both", instance=1) + resource).content


@pytest.mark.parametrize("resource", ["/rendered", "/thumbnail"])
def test_a_picture_of_a_study_whose_files_are_all_gone_is_not_found(
    client, services: Services, resource
):
    wire.must_store(client, *samples.ct_series("none", 2))
    for instance in (1, 2):
        lose(services, "none", instance)
    wire.assert_error(get(client, study("none") + resource), 404)


@pytest.mark.parametrize("resource", ["/rendered", "/thumbnail"])
def test_another_frame_stands_for_all_when_the_representative_is_damaged(client, resource):
    wire.must_store(client, jpeg_2000("frames", 1, frames=3, broken=(1, 2)))
    path = samples.path("frames")
    answer = get(client, path + resource)
    assert answer.status_code == 200
    assert answer.content == get(client, f"{path}/frames/3{resource}").content
    wire.assert_error(get(client, f"{path}/frames/2{resource}"), 406)


def test_a_thumbnail_of_what_is_all_damaged_is_a_tile(client):
    wire.must_store(client, *(jpeg_2000("damaged", each, broken=(1,)) for each in range(1, 7)))
    for place in (study("damaged"), samples.path("damaged")):
        wire.assert_error(get(client, place + "/rendered"), 406)
        for _ in range(2):
            answer = get(client, place + "/thumbnail", "image/png")
            assert answer.status_code == 200
            assert answer.content.startswith(b"\x89PNG")


def test_damage_found_behind_the_beginning_of_an_answer_ends_the_connection(
    services: Services, client
):
    wire.must_store(client, *(jpeg_2000("cut", each) for each in (1, 2)))
    wire.must_store(client, jpeg_2000("cut", 3, broken=(1,)))
    small = Limits(ahead_bytes=1, response_piece_bytes=1)
    running = Uvicorn(create_app(replace(services, limits=small)))
    try:
        for accept in (UNCOMPRESSED, f"{ZIP}; transfer-syntax={EXPLICIT}"):
            url = f"{running.url}{wire.DICOMWEB}{study('cut')}"
            with pytest.raises(httpx2.RemoteProtocolError, match="incomplete"):
                httpx2.get(url, headers={"Accept": accept}, trust_env=False)
    finally:
        running.stop()


def test_what_cannot_be_had_in_the_type_that_is_wanted_is_left_out(client):
    unknown = samples.unknown_transfer_syntax("mixed")
    wire.must_store(client, samples.ct("mixed", instance=2), unknown)
    jpeg_ls = 'multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.4.80'
    answer = get(client, study("mixed"), jpeg_ls)
    assert_partial(answer, samples.sop_uid("mixed"))
    assert uids_of(answer) == [samples.sop_uid("mixed", 1, 2)]


def test_a_large_answer_by_way_of_the_bucket_is_without_what_is_missing(
    backend: Backend, client, connect, services: Services
):
    if backend.name != "aws":
        pytest.skip("there is no bucket, or a stack has settings of its own")
    for each in (1, 2, 3):
        wire.must_store(client, jpeg_2000("ladder", each, broken=(1,) if each == 2 else ()))
        wire.must_store(client, samples.ct("ladder 2", instance=each))
    lose(services, "ladder 2", 2)
    limited = connect(replace(services, settings=replace(services.settings, payload_ceiling=100)))
    for path, accept, missing in (
        (study("ladder"), UNCOMPRESSED, samples.sop_uid("ladder", 1, 2)),
        (study("ladder 2"), ANY_DICOM, samples.sop_uid("ladder 2", 1, 2)),
    ):
        for _ in range(2):  # made, and found as it was made
            answer = get(limited, path, accept)
            assert answer.status_code == 200
            assert answer.history[0].status_code == 303
            assert missing in warnings_of(answer)
            assert len(wire.parts(answer)) == 2
