"""Zips on their way in: unpacked within limits, refused as a whole when they pass one."""

import io
import struct
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from lenticular import errors
from lenticular.services import Services
from lenticular.settings import Settings
from lenticular.storage.folder import FolderStorage
from lenticular.storage.spool import Spool
from lenticular.transactions.ingest import zip_reader
from tests.helpers import samples

Unpack = Callable[[bytes | Path], dict[str, bytes]]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Small limits."""
    return Settings(
        data=tmp_path, maximum_body=3_000_000, maximum_zip_entries=20, maximum_zip_bytes=4_000_000
    )


@pytest.fixture
def unpack(settings: Settings) -> Unpack:
    """Every name and content of a zip, given as bytes or as a file."""
    # No entry reaches the index, so none is opened.
    services = Services(settings, FolderStorage(settings.data), index=None)  # type: ignore[arg-type]

    def unpacked(content: bytes | Path) -> dict[str, bytes]:
        source = content.open("rb") if isinstance(content, Path) else _spool(content)
        found = {}
        for name, spool in zip_reader.zip_entries(services, source):
            if isinstance(spool, errors.InvalidInstance):
                raise spool
            with spool:
                found[name] = spool.read(0, spool.size)
        return found

    return unpacked


def _spool(content: bytes) -> Spool:
    spool = Spool(in_memory_bytes=1000)
    spool.write(content)
    return spool


def test_every_file_of_a_zip_comes_out_as_it_was(unpack: Unpack) -> None:
    files = {"a/1.dcm": b"x" * 100_000, "a/2.dcm": b"", "b.txt": bytes(range(256))}
    assert unpack(samples.zipped(files)) == files


def test_a_zip_may_be_a_file_in_a_folder(unpack: Unpack, tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(samples.zipped({"one": b"1"}))
    assert unpack(path) == {"one": b"1"}


def test_folders_in_a_zip_are_left_out(unpack: Unpack) -> None:
    assert unpack(samples.zipped({"folder/": b"", "folder/one": b"1"})) == {"folder/one": b"1"}


def test_bytes_before_the_zip_and_a_comment_after_it_do_no_harm(unpack: Unpack) -> None:
    buffer = io.BytesIO(b"#!/bin/sh\n")
    with zipfile.ZipFile(buffer, "a") as file:
        file.writestr("one", b"1")
        file.comment = b"a comment" * 100
    assert unpack(buffer.getvalue()) == {"one": b"1"}


def test_a_zip_of_the_64_bit_kind_is_understood(unpack: Unpack) -> None:
    content = samples.zipped({"one": b"1"})
    end = content.rindex(b"PK\x05\x06")
    size, offset = struct.unpack_from("<LL", content, end + 12)
    record = struct.pack("<4sQHHLLQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, 1, 1, size, offset)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, end, 1)
    last = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    assert unpack(content[:end] + record + locator + last) == {"one": b"1"}


def test_a_zip_in_a_zip_stays_closed(unpack: Unpack) -> None:
    inner = samples.zipped({"one": b"1"})
    assert unpack(samples.zipped({"inner.zip": inner})) == {"inner.zip": inner}


def test_an_empty_zip_is_refused(unpack: Unpack) -> None:
    with pytest.raises(errors.InvalidInstance, match="empty"):
        unpack(samples.zipped({}))


def test_a_zip_without_its_end_is_refused(unpack: Unpack) -> None:
    with pytest.raises(errors.InvalidInstance, match="cannot be opened"):
        unpack(samples.zipped({"one": b"x" * 1000})[:-30])


def test_a_zip_with_a_damaged_file_is_refused(unpack: Unpack) -> None:
    with zipfile.ZipFile(buffer := io.BytesIO(), "w") as file:
        file.writestr("one", b"x" * 1000)
    content = buffer.getvalue().replace(b"xxxx", b"xyxx", 1)
    with pytest.raises(errors.InvalidInstance, match="File 1 in the zip is damaged"):
        unpack(content)


def test_an_encrypted_zip_is_refused(unpack: Unpack) -> None:
    content = bytearray(samples.zipped({"one": b"1"}))
    content[content.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(errors.InvalidInstance, match="encrypted"):
        unpack(bytes(content))


def test_a_zip_compressed_by_another_method_is_refused(unpack: Unpack) -> None:
    with zipfile.ZipFile(buffer := io.BytesIO(), "w", zipfile.ZIP_LZMA) as file:
        file.writestr("one", b"x" * 1000)
    with pytest.raises(errors.InvalidInstance, match="method 14"):
        unpack(buffer.getvalue())


def test_a_zip_with_too_many_files_is_refused(unpack: Unpack) -> None:
    with pytest.raises(errors.TooLarge, match="more than 20 files"):
        unpack(samples.zipped({str(number): b"" for number in range(21)}))


def test_a_zip_with_one_file_that_is_too_large_is_refused(unpack: Unpack) -> None:
    with pytest.raises(errors.TooLarge, match="3,000,001 bytes"):
        unpack(samples.zipped({"one": bytes(3_000_001)}))


def test_a_zip_that_unpacks_to_too_much_is_refused(unpack: Unpack) -> None:
    with pytest.raises(errors.TooLarge, match="unpacks to 5,000,000 bytes"):
        unpack(samples.zipped({"one": bytes(2_500_000), "two": bytes(2_500_000)}))


def test_a_directory_that_lies_about_a_size_does_not_get_more_unpacked(unpack: Unpack) -> None:
    content = bytearray(samples.zipped({"one": bytes(10_000_000)}))
    struct.pack_into("<L", content, content.index(b"PK\x01\x02") + 24, 1000)
    with pytest.raises(errors.InvalidInstance, match="damaged"):
        unpack(bytes(content))


def test_what_unpacks_to_far_more_than_images_do_is_refused() -> None:
    zip_reader.check_expansion(1, zip_reader.SMALL_BYTES)
    zip_reader.check_expansion(10**8, 2 * 10**10)
    with pytest.raises(errors.TooLarge, match="not a collection of images"):
        zip_reader.check_expansion(10**6, zip_reader.SMALL_BYTES + 1)


@pytest.mark.parametrize("place", range(0, 130, 3))
def test_no_broken_byte_in_a_zip_is_our_mistake(unpack: Unpack, place: int) -> None:
    content = bytearray(samples.zipped({"öne": b"1" * 50, "two": b"2"}))
    content[-place - 1] ^= 0xFF
    with suppress(errors.LenticularError):
        unpack(bytes(content))


def test_names_are_those_that_were_packed_even_where_the_zip_does_not_tell_their_code(
    unpack: Unpack,
) -> None:
    told = samples.zipped({"Köln/日本.dcm": b"x"})
    # The same with the flag for UTF-8 taken away, as many programs write it (APPNOTE 4.4.4).
    untold = told.replace(b"PK\x03\x04\x14\0\0\x08", b"PK\x03\x04\x14\0\0\0")
    untold = untold.replace(b"PK\x01\x02\x14\x03\x14\0\0\x08", b"PK\x01\x02\x14\x03\x14\0\0\0")
    assert untold != told
    # The code page of DOS, in which this is no UTF-8.
    dos = samples.zipped({"K?ln.dcm": b"x"}).replace(b"K?ln", b"K\x94ln")

    assert list(unpack(told)) == list(unpack(untold)) == ["Köln/日本.dcm"]
    assert list(unpack(dos)) == ["Köln.dcm"]
