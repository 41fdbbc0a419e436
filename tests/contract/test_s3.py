"""What only the S3 adapter does: fetch, discard, presign, and errors of the language."""

import base64
import hashlib
import secrets
import socket
import time
import urllib.request
from email.message import Message

import pytest

from lenticular.services import open_storage
from lenticular.storage import s3, s3_writer
from lenticular.storage.s3 import PART_BYTES, S3Storage
from lenticular.storage.spool import Spool
from tests.helpers.s3 import make_bucket
from tests.helpers.tcp_relay import Passed, Relay


@pytest.fixture
def storage(bucket) -> S3Storage:
    return open_storage(f"s3://{bucket}")


@pytest.fixture
def versioned(s3_environment) -> S3Storage:
    name = f"test-{secrets.token_hex(8)}"
    make_bucket(s3_environment, name, versioning=True)
    return open_storage(f"s3://{name}")


def put(storage: S3Storage, key: str, data: bytes) -> None:
    storage.client.put_object(Bucket=storage.bucket, Key=key, Body=data)


def http(method: str, url: str, data: bytes | None = None) -> tuple[bytes, Message]:
    request = urllib.request.Request(url, data, {"Content-Type": ""}, method=method)
    with urllib.request.urlopen(request) as answer:
        return answer.read(), answer.headers


@pytest.mark.parametrize("in_memory_bytes", [1, 100_000_000], ids=["in a file", "in memory"])
def test_a_body_larger_than_a_part_is_kept_whole(storage, in_memory_bytes):
    data = secrets.token_bytes(PART_BYTES + 12345)
    with Spool(in_memory_bytes=in_memory_bytes) as spool:
        spool.write(data)
        storage.put("instances/large.dcm", spool)
    assert storage.read("instances/large.dcm") == data
    head = storage.client.head_object(Bucket=storage.bucket, Key="instances/large.dcm")
    assert head["ETag"].endswith('-2"')


def test_a_small_body_is_kept_with_its_sha256(storage):
    with Spool() as spool:
        spool.write(b"data")
        storage.put("instances/small.dcm", spool)
    head = storage.client.head_object(
        Bucket=storage.bucket, Key="instances/small.dcm", ChecksumMode="ENABLED"
    )
    sha256 = base64.b64encode(hashlib.sha256(b"data").digest()).decode()
    assert head["ChecksumSHA256"] == sha256


@pytest.mark.parametrize(
    "key", ["incoming/a b+c%20ü/../x//y.dcm", "incoming/" + "ä" * 507, "incoming/."]
)
def test_an_object_with_any_key_is_fetched_and_put_elsewhere_by_a_copy(storage, key):
    put(storage, key, b"0123456789")
    found = storage.find(key)
    with storage.fetch(found) as fetched:
        assert bytes(fetched.view()) == b"0123456789"
        storage.put("instances/copy.dcm", fetched)
    storage.discard(found)
    assert storage.read("instances/copy.dcm") == b"0123456789"
    assert [found for found, _, _ in storage.keys("")] == ["instances/copy.dcm"]


def test_an_object_that_changed_after_it_was_fetched_is_not_copied(storage):
    put(storage, "incoming/x", b"one")
    with storage.fetch(storage.find("incoming/x")) as fetched:
        put(storage, "incoming/x", b"two")
        with pytest.raises(OSError, match="refuses"):
            storage.put("instances/copy.dcm", fetched)


def test_an_object_that_changed_after_it_was_found_is_not_fetched(storage):
    put(storage, "incoming/x", b"one")
    found = storage.find("incoming/x")
    put(storage, "incoming/x", b"two")
    with pytest.raises(OSError, match="refuses"):
        storage.fetch(found)


def test_what_was_put_after_the_fetch_is_not_discarded(storage):
    put(storage, "incoming/x", b"one")
    found = storage.find("incoming/x")
    put(storage, "incoming/x", b"two")
    storage.discard(found)
    assert storage.read("incoming/x") == b"two"


def test_with_versions_exactly_the_fetched_one_is_copied_and_discarded(versioned):
    put(versioned, "incoming/x", b"one")
    found = versioned.find("incoming/x")
    put(versioned, "incoming/x", b"two")
    versioned.copy(found, "instances/copy.dcm")
    versioned.discard(found)
    assert versioned.read("instances/copy.dcm") == b"one"
    assert versioned.read("incoming/x") == b"two"


def test_a_copy_has_the_bytes_and_not_the_tags_and_headers_of_whoever_dropped_it(storage):
    storage.client.put_object(
        Bucket=storage.bucket,
        Key=f"{storage.prefix}incoming/x",
        Body=b"one",
        Tagging="of=mine",
        Metadata={"patient": "Carla"},
        ContentEncoding="gzip",
    )
    storage.copy(storage.find("incoming/x"), "instances/copy.dcm")

    copy = {"Bucket": storage.bucket, "Key": f"{storage.prefix}instances/copy.dcm"}
    head = storage.client.head_object(**copy)
    assert storage.read("instances/copy.dcm") == b"one"
    assert head["Metadata"] == {}
    assert "ContentEncoding" not in head
    assert storage.client.get_object_tagging(**copy)["TagSet"] == []


def test_discarding_what_is_gone_already_is_no_error(storage):
    put(storage, "incoming/x", b"one")
    found = storage.find("incoming/x")
    storage.delete("incoming/x")
    storage.discard(found)


def test_finding_what_is_gone_raises_file_not_found(storage):
    with pytest.raises(FileNotFoundError):
        storage.find("incoming/none")


def test_a_presigned_url_reads_an_object_under_a_name_and_type(storage):
    put(storage, "results/x", b"data")
    url = storage.presign("results/x", media_type="application/dicom", file_name="x.dcm")
    body, headers = http("GET", url)
    assert body == b"data"
    assert headers["Content-Type"] == "application/dicom"
    assert headers["Content-Disposition"] == 'attachment; filename="x.dcm"'


def test_a_presigned_url_takes_an_upload_of_the_size_that_was_announced(storage):
    url = storage.presign_upload("incoming/x", 4)
    http("PUT", url, b"data")
    assert storage.read("incoming/x") == b"data"
    assert "content-length" in url.split("X-Amz-SignedHeaders=")[1].split("&")[0]


def test_presigned_urls_take_an_upload_in_parts(storage):
    parts = [b"a" * 5 * 1024 * 1024, b"b" * 5 * 1024 * 1024, b"c"]
    upload_id = storage.begin_parts("incoming/x")
    for number, part in enumerate(parts, 1):
        http("PUT", storage.presign_part("incoming/x", upload_id, number, len(part)), part)
    arrived = storage.parts("incoming/x", upload_id)
    assert [(part.number, part.size) for part in arrived] == [
        (number, len(part)) for number, part in enumerate(parts, 1)
    ]
    storage.complete_parts("incoming/x", upload_id, arrived)
    assert storage.read("incoming/x") == b"".join(parts)
    with pytest.raises(FileNotFoundError):
        storage.parts("incoming/x", upload_id)


@pytest.mark.parametrize("size", [0, 100, s3_writer.PART_BYTES, 5 * s3_writer.PART_BYTES + 1])
def test_what_is_made_piece_by_piece_is_kept_whole_with_its_type(storage, size):
    data = secrets.token_bytes(size)
    pieces = (data[start : start + 1_000_000] for start in range(0, size, 1_000_000))
    assert storage.write("results/x", pieces, 'multipart/related; boundary="b"') == size
    assert storage.read("results/x") == data
    head = storage.client.head_object(Bucket=storage.bucket, Key="results/x")
    assert head["ContentType"] == 'multipart/related; boundary="b"'


def test_nothing_is_kept_of_what_ends_with_an_error(storage):
    def pieces():
        yield bytes(3 * s3_writer.PART_BYTES)
        raise ValueError("the file is damaged")

    with pytest.raises(ValueError, match="damaged"):
        storage.write("results/x", pieces(), "application/dicom")
    assert list(storage.keys("results/")) == []
    uploads = storage.client.list_multipart_uploads(Bucket=storage.bucket)
    assert not uploads.get("Uploads")


def test_more_objects_than_a_page_holds_are_all_listed(bucket):
    storage = S3Storage(bucket, page_keys=2)
    for number in range(5):
        put(storage, f"incoming/{number}", b"")
    assert len(list(storage.keys("incoming/"))) == 5


def test_a_bucket_that_does_not_exist_raises_an_error_of_the_language(s3_environment):
    storage = open_storage("s3://there-is-no-such-bucket")
    with Spool() as spool:
        spool.write(b"data")
        with pytest.raises(OSError, match="refuses"):
            storage.put("instances/x.dcm", spool)


def test_a_service_that_is_down_raises_an_error_of_the_language(s3_environment, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(OSError, match="cannot be used"):
        open_storage("s3://bucket").read("instances/x.dcm")


@pytest.mark.slow
def test_a_hung_service_is_given_up_before_api_gateway_gives_us_up(storage):
    """Each attempt, and the pauses between, of at most 1 and 2 seconds."""
    config = storage.client.meta.config
    attempts = config.retries["total_max_attempts"]

    assert attempts == 3
    assert attempts * max(config.read_timeout, config.connect_timeout) + 1 + 2 < 25


@pytest.mark.slow
def test_a_service_that_never_answers_is_a_time_out(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")

        with pytest.raises(TimeoutError):
            S3Storage("bucket").read("key")


def test_a_copy_may_take_longer_than_any_answer_that_a_client_waits_for(
    s3_environment, bucket, monkeypatch
):
    def copy_slowly(request: Passed) -> None:
        if "x-amz-copy-source" in {name.lower() for name in request.headers}:
            time.sleep(2)

    with Relay(s3_environment["AWS_ENDPOINT_URL"], copy_slowly) as relay:
        monkeypatch.setenv("AWS_ENDPOINT_URL", relay.url)
        storage = S3Storage(bucket)
        storage.client = s3.make_client(read_seconds=1)
        put(storage, "incoming/large", b"data")
        with storage.fetch(storage.find("incoming/large")) as spool:
            storage.put("instances/large.dcm", spool)
        copies = [each for each in relay.passed if each.path.endswith("/instances/large.dcm")]
        storage.close()

    assert len(copies) == 1
