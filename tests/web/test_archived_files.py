"""Files that a lifecycle rule moved to an archive of the bucket: they need a restore first."""

from dataclasses import replace

import pytest

from lenticular.dicom.model import Target
from lenticular.services import Services
from lenticular.transactions.upkeep.check import CheckRequest, check
from lenticular.transactions.upkeep.sweep_and_reindex import reindex, sweep
from tests.helpers import samples, wire
from tests.helpers.backends import Backend
from tests.helpers.http.retrieve import ANY_DICOM

ARCHIVED = "restored"
SECOND = Target(
    samples.study_uid("old"), samples.series_uid("old"), samples.sop_uid("old", instance=2)
)


@pytest.fixture
def archived(backend: Backend, client, services: Services) -> Services:
    """Store a study of two instances, of which the second one is archived."""
    if backend.name != "aws":
        pytest.skip("only buckets have archives")
    wire.must_store(client, *samples.ct_series("old", 2))
    bucket, key = services.storage.bucket, key_of_second(services)
    services.storage.client.copy_object(
        Bucket=bucket, Key=key, CopySource=f"{bucket}/{key}", StorageClass="DEEP_ARCHIVE"
    )
    return services


def key_of_second(services: Services) -> str:
    (row,) = services.index.retrieval.find(SECOND)
    return row.key


def path(instance: int) -> str:
    return wire.DICOMWEB + samples.path("old", instance=instance)


@pytest.mark.parametrize(
    ("suffix", "accept"),
    [
        ("", ANY_DICOM),
        ("/frames/1", "application/octet-stream"),
        ("/rendered", "image/jpeg"),
        ("/bulkdata/7FE00010", "application/octet-stream"),
    ],
)
def test_an_archived_file_is_503_and_says_that_it_must_be_restored(
    client, archived, suffix, accept
):
    answer = client.get(path(2) + suffix, headers={"Accept": accept})

    assert answer.status_code == 503, answer.text
    assert ARCHIVED in answer.json()["detail"]
    assert int(answer.headers["Retry-After"]) >= 3600
    assert client.get(path(1) + suffix, headers={"Accept": accept}).status_code == 200


def test_what_needs_no_archived_file_is_answered_as_ever(client, archived):
    study = f"{wire.DICOMWEB}/studies/{samples.study_uid('old')}"

    assert len(client.get(f"{study}/metadata").json()) == 2
    assert client.get(study, headers={"Accept": ANY_DICOM}).status_code == 503


def test_no_url_of_the_bucket_leads_to_an_archived_file(archived, connect):
    limited = replace(archived.settings, payload_ceiling=1000)
    client = connect(replace(archived, settings=limited))

    for instance, status in ((1, 303), (2, 503)):
        answer = client.get(path(instance), headers={"Accept": ANY_DICOM}, follow_redirects=False)
        assert answer.status_code == status, answer.text


def test_a_restored_file_is_read_again(client, archived):
    archived.storage.client.restore_object(
        Bucket=archived.storage.bucket, Key=key_of_second(archived), RestoreRequest={"Days": 1}
    )

    assert client.get(path(2), headers={"Accept": ANY_DICOM}).status_code == 200


def test_an_archived_instance_that_is_sent_again_is_stored_already(client, archived):
    before = list(archived.storage.keys())

    wire.must_store(client, samples.ct_series("old", 2)[1])

    assert list(archived.storage.keys()) == before


def test_an_archived_instance_is_deleted_like_any_other(client, archived):
    assert client.delete(path(2)).status_code == 204
    assert len(list(archived.storage.keys())) == 1


def test_a_check_takes_no_archived_file_for_a_damaged_one(archived):
    checked = check(archived, CheckRequest(with_hash=True))

    assert (checked.rows, checked.problems) == (2, 0)


def test_an_archived_file_that_cannot_be_reindexed_is_not_swept(archived):
    keys = set(archived.storage.keys())
    key = key_of_second(archived)
    archived.index.writer.remove(SECOND)

    assert reindex(archived).filed == 0
    assert sweep(archived, older_than_seconds=-1).removed == 0
    assert set(archived.storage.keys()) == keys
    assert key in {key for key, _, _ in keys}
