"""Pictures that are costly to draw, kept in the bucket: found again, gone with their instance."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace

import pytest
from botocore.exceptions import ClientError
from starlette.testclient import TestClient

from lenticular.dicom.model import Target
from lenticular.limits import Limits
from lenticular.services import Services, open_services
from lenticular.settings import Settings
from lenticular.transactions.delete import delete
from lenticular.transactions.upkeep import sweep_and_reindex
from lenticular.web.app import create_app
from tests.helpers import samples, wire
from tests.helpers.backends import ADDRESS

LARGE = 1450  # by so many pixels of two bytes are more than 4 MiB


# As in a function that has just started.
NOTHING_IN_MEMORY = Limits(thumbnails_bytes=0)


@pytest.fixture
def services(tmp_path, bucket) -> Iterator[Services]:
    with closing(
        open_services(
            Settings(data=tmp_path, storage=f"s3://{bucket}/files", replace=True), NOTHING_IN_MEMORY
        )
    ) as opened:
        opened.index.migrate()
        yield opened


@pytest.fixture
def client(services) -> Iterator[TestClient]:
    with TestClient(create_app(services), ADDRESS) as session:
        yield session


def picture(client, study: str, resource: str = "thumbnail", instance: int = 1, **headers: str):
    path = samples.path(study, instance=instance)
    answer = client.get(f"{wire.DICOMWEB}{path}/{resource}", headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.content


def kept(services) -> list[str]:
    return [key for key, _, _ in services.storage.keys("renditions/")]


@contextmanager
def watched(
    services, watch: Callable[[str, str], None] = lambda operation, key: None
) -> Iterator[list[tuple[str, str]]]:
    """What is asked of the bucket, each operation with its key or prefix, as it is asked."""
    asked: list[tuple[str, str]] = []

    def note(params, model, **_):
        key = params.get("Key", params.get("Prefix", "")).removeprefix("files/")
        asked.append((model.name, key))
        watch(model.name, key)

    events = services.storage.client.meta.events
    events.register("provide-client-params.s3", note)
    try:
        yield asked
    finally:
        events.unregister("provide-client-params.s3", note)


def refuse(operation: str, key: str) -> None:
    if key.startswith("renditions/"):
        raise ClientError({"Error": {"Code": "AccessDenied"}}, operation)


@pytest.mark.parametrize("resource", ["thumbnail", "rendered", "frames/1/rendered?viewport=300,9"])
def test_a_picture_of_a_large_frame_is_drawn_once_and_found_again(client, services, resource):
    wire.must_store(client, samples.ct("large", size=LARGE))
    drawn = picture(client, "large", resource)

    with watched(services) as asked:
        assert picture(client, "large", resource) == drawn
    (key,) = kept(services)
    assert asked == [("GetObject", key)]


def test_pictures_of_other_options_are_others(client, services):
    wire.must_store(client, samples.ct("several", size=LARGE))

    assert picture(client, "several") != picture(client, "several", Accept="image/png")
    assert picture(client, "several") != picture(client, "several", "rendered")
    assert len(kept(services)) == 3


@pytest.mark.parametrize("resource", [
    "rendered?window=40,400,linear", "rendered?viewport=64,64,10,10,200,200",
    "rendered?viewport=64,64,,,-1450,", "rendered?window=40,400,linear&viewport=64,64",
])  # fmt: skip
def test_what_one_person_looks_for_is_not_kept(client, services, resource):
    wire.must_store(client, samples.ct("special", size=LARGE))
    picture(client, "special", resource)

    assert not kept(services)


def test_small_frames_cost_nothing_more(client, services):
    wire.must_store(client, samples.ct("small", size=512), samples.pdf("document"))
    with watched(services) as asked:
        picture(client, "small")
        picture(client, "document")

    assert [(operation, key[:10]) for operation, key in asked] == [("GetObject", "instances/")]


def test_nothing_is_kept_in_a_folder(tmp_path):
    with closing(open_services(Settings(data=tmp_path))) as services:
        services.index.migrate()
        with TestClient(create_app(services), ADDRESS) as client:
            wire.must_store(client, samples.ct("folder", size=LARGE))
            picture(client, "folder")
        assert not kept(services)


def test_a_study_goes_with_its_pictures_by_one_listing(client, services):
    for series in (1, 2):
        wire.must_store(client, *(
            samples.ct("gone", series, number, size=LARGE if number == 1 else 16)
            for number in range(1, 6)
        ))  # fmt: skip
        client.get(f"{wire.DICOMWEB}{samples.path('gone', series)}/rendered")
    wire.must_store(client, samples.ct("stays", size=LARGE))
    picture(client, "stays")
    assert len(kept(services)) == 3

    with watched(services) as asked:
        delete(services, Target(samples.study_uid("gone")))
    assert [name for name, _ in asked if name.startswith("List")] == ["ListObjectsV2"]
    (left,) = kept(services)
    assert samples.study_uid("stays") in left


def test_an_instance_goes_with_its_pictures_and_others_keep_theirs(client, services):
    wire.must_store(client, *samples.ct_series("series", 3, size=LARGE))
    for number in (1, 2, 3):
        picture(client, "series", instance=number)
        picture(client, "series", "rendered", instance=number)

    path = samples.path("series", instance=2)
    assert client.delete(wire.DICOMWEB + path).status_code == 204
    assert len(kept(services)) == 4
    assert not [key for key in kept(services) if samples.sop_uid("series", 1, 2) in key]


def test_a_replaced_instance_shows_the_new_picture_and_the_old_one_is_gone(client, services):
    wire.must_store(client, samples.ct("replaced", size=LARGE))
    old = picture(client, "replaced", "rendered")
    (kept_before,) = kept(services)

    wire.must_store(client, samples.ct("replaced", size=LARGE, WindowWidth=[90, 90]))
    assert not kept(services)
    assert picture(client, "replaced", "rendered") != old
    assert kept(services) not in ([], [kept_before])


def test_an_instance_that_goes_while_it_is_drawn_leaves_no_picture(client, services):
    wire.must_store(client, samples.ct("hurried", size=LARGE))

    def delete_it(operation: str, key: str) -> None:
        if operation == "PutObject" and key.startswith("renditions/"):
            delete(services, Target(samples.study_uid("hurried")))

    with watched(services, delete_it) as asked:
        picture(client, "hurried")
    assert "PutObject" in [operation for operation, _ in asked]
    assert not list(services.storage.keys())


def test_a_bucket_that_refuses_pictures_fails_no_request(client, services, caplog):
    wire.must_store(client, samples.ct("refused", size=LARGE))
    with watched(services, refuse):
        drawn = picture(client, "refused")
    said = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]

    assert not kept(services)
    assert drawn == picture(client, "refused")
    assert len(said) == 2
    assert all("AccessDenied" in sentence for sentence in said)


def test_pictures_that_could_not_be_removed_are_swept_with_their_file(client, services):
    wire.must_store(client, samples.ct("swept", size=LARGE), samples.ct("other"))
    picture(client, "swept")
    with watched(services, refuse):
        assert client.delete(wire.DICOMWEB + samples.path("swept")).status_code == 204
    assert kept(services)

    assert sweep_and_reindex.sweep(services, older_than_seconds=-1).removed == 1
    assert not kept(services)
    assert len(list(services.storage.keys())) == 1


def test_what_is_too_large_to_be_worth_it_is_not_kept(services):
    services = replace(services, limits=replace(NOTHING_IN_MEMORY, cached_picture_bytes=100))
    with TestClient(create_app(services), ADDRESS) as client:
        wire.must_store(client, samples.ct("huge", size=LARGE))
        picture(client, "huge")

    assert not kept(services)
