"""What every storage adapter must do; one file for all of them."""

from pathlib import Path

import pytest

from lenticular.services import open_storage
from lenticular.storage.protocol import Storage
from lenticular.storage.spool import Spool

KEY = "instances/abc/1.2.3/1.2.3.4/1.2.3.4.5-0011-aa.dcm"


@pytest.fixture(params=["folder", "s3", "s3 below a prefix"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    if request.param == "folder":
        return open_storage(tmp_path.as_uri())
    bucket = f"s3://{request.getfixturevalue('bucket')}"
    return open_storage(bucket if request.param == "s3" else bucket + "/some/where")


@pytest.fixture(params=[1, 1_000_000], ids=["in a file", "in memory"])
def make_spool(request, storage):
    def make(data: bytes) -> Spool:
        spool = Spool(getattr(storage, "spool_folder", None), in_memory_bytes=request.param)
        for start in range(0, len(data), 7):
            spool.write(data[start : start + 7])
        return spool

    return make


def put(storage: Storage, key: str, spool: Spool) -> None:
    with spool:
        storage.put(key, spool)


def test_what_was_put_is_read_back_byte_for_byte(storage, make_spool):
    data = bytes(range(256)) * 10
    put(storage, KEY, make_spool(data))
    assert storage.read(KEY) == data


def test_a_range_is_read_without_the_rest(storage, make_spool):
    put(storage, KEY, make_spool(b"0123456789"))
    assert storage.read(KEY, 3, 4) == b"3456"
    assert storage.read(KEY, 8, 100) == b"89"
    assert storage.read(KEY, 100, 1) == b""
    assert storage.read(KEY, 7) == b"789"


def test_a_stream_gives_the_same_bytes_in_pieces(storage, make_spool):
    data = b"x" * 2_500_000
    put(storage, KEY, make_spool(data))
    pieces = list(storage.stream(KEY, 1))
    assert b"".join(pieces) == data[1:]
    assert max(map(len, pieces)) <= 1024 * 1024
    assert b"".join(storage.stream(KEY, 10, 20)) == data[10:30]


def test_a_get_of_a_missing_key_raises_file_not_found(storage):
    with pytest.raises(FileNotFoundError):
        storage.read("instances/none.dcm")
    with pytest.raises(FileNotFoundError):
        storage.stream("instances/none.dcm")


def test_a_deleted_object_is_gone_and_deleting_it_again_is_no_error(storage, make_spool):
    put(storage, KEY, make_spool(b"data"))
    storage.delete(KEY)
    storage.delete(KEY)
    with pytest.raises(FileNotFoundError):
        storage.read(KEY)


def test_keys_lists_what_lies_under_a_prefix_with_its_size(storage, make_spool):
    put(storage, KEY, make_spool(b"data"))
    put(storage, "renditions/x.jpg", make_spool(b"picture"))
    assert [(key, size) for key, size, _ in storage.keys("instances/")] == [(KEY, 4)]
    assert {key for key, _, _ in storage.keys("")} == {KEY, "renditions/x.jpg"}
    assert list(storage.keys("nothing/here")) == []


def test_the_same_key_may_be_put_again_after_a_delete(storage, make_spool):
    put(storage, KEY, make_spool(b"one"))
    storage.delete(KEY)
    put(storage, KEY, make_spool(b"two"))
    assert storage.read(KEY) == b"two"


@pytest.mark.parametrize("key", ["../outside", "a/../../b", "/etc/passwd", "a//b", "a/\0"])
def test_a_key_that_leaves_the_storage_is_refused(storage, make_spool, key):
    with pytest.raises(ValueError, match="not a key"):
        put(storage, key, make_spool(b"data"))
