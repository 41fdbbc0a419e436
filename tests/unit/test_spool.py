"""A received body on its way in."""

import hashlib

import pytest

from lenticular.storage.spool import Spool


@pytest.mark.parametrize("limit", [5, 1000])
def test_a_spool_holds_and_hashes_what_was_written(tmp_path, limit):
    with Spool(tmp_path, in_memory_bytes=limit) as spool:
        for piece in (b"abc", b"", b"defgh", b"ij"):
            spool.write(piece)
        assert spool.size == 10
        assert bytes(spool.view()) == b"abcdefghij"
        assert spool.read(2, 3) == b"cde"
        assert spool.sha256() == hashlib.sha256(b"abcdefghij").digest()


def test_an_empty_spool_is_empty(tmp_path):
    with Spool(tmp_path) as spool:
        assert bytes(spool.view()) == b""


def test_a_small_body_never_touches_the_disk(tmp_path):
    with Spool(tmp_path, in_memory_bytes=100) as spool:
        spool.write(b"x" * 100)
        assert list(tmp_path.iterdir()) == []


def test_the_file_of_a_large_body_is_gone_after_closing(tmp_path):
    with Spool(tmp_path, in_memory_bytes=10) as spool:
        spool.write(b"x" * 11)
        assert len(list(tmp_path.iterdir())) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_large_body_may_be_closed_while_somebody_still_holds_its_bytes(tmp_path):
    spool = Spool(tmp_path, in_memory_bytes=10)
    spool.write(b"0123456789abc")
    held = spool.view()[2:5]
    spool.close()
    assert bytes(held) == b"234"
