"""Metadata and bulk data that cannot become an instance, PS3.18 10.5.3: said so, and no more."""

import time
from dataclasses import replace
from typing import Any

import orjson
import pytest

from lenticular.limits import Limits
from tests.helpers import samples, wire
from tests.helpers.http.store import (
    BOUNDARY,
    JSON,
    XML,
    as_json,
    as_xml,
    bulk,
    metadata_of,
    pixels_of,
    send,
)


def changed(tag: str, element: Any) -> dict[str, Any]:
    return metadata_of(samples.ct("a")) | {tag: element}


@pytest.mark.parametrize(
    "metadata",
    [
        changed("00280010", {"vr": "US", "Value": ["many"]}),
        changed("00280010", {"vr": "US", "Value": [70000]}),
        changed("00280010", {"vr": "US", "Value": [1.5]}),
        changed("00280010", {"vr": "US", "Value": [True]}),
        changed("00280010", {"vr": "US", "Value": 5}),
        changed("00280010", {"vr": "QQ", "Value": [5]}),
        changed("00280010", {"vr": ["US"], "Value": [5]}),
        changed("00280010", {"vr": {"a": "US"}, "Value": [5]}),
        changed("00280010", {"vr": "US", "Value": [5], "InlineBinary": "AAAA"}),
        changed("00280010", 5),
        changed("00280008", {"vr": "IS", "Value": ["x"]}),
        changed("00100020", {"vr": "LO", "Value": [5]}),
        changed("00100010", {"vr": "PN", "Value": [{"Alphabetic": 5}]}),
        changed("00091001", {"vr": "AT", "Value": ["x"]}),
        changed("00091001", {"vr": "OB", "InlineBinary": "!"}),
        changed("00081140", {"vr": "SQ", "Value": [5]}),
        changed("PatientID", {"vr": "LO", "Value": ["x"]}),
        changed("7FE00010", {"vr": "OW", "BulkDataURI": "elsewhere"}),
        changed("7FE00010", {"vr": "OW", "BulkDataURI": "http://127.0.0.1:1/secret"}),
        changed("00091001", {"vr": "OB", "BulkDataURI": "file:///etc/passwd"}),
        5,
    ],
)
def test_an_instance_that_cannot_be_made_is_refused_and_the_others_are_stored(client, metadata):
    good = samples.ct("b")
    answer = send(
        client, as_json(metadata, metadata_of(good, "good")),
        bulk(pixels_of(samples.ct("a"))), bulk(pixels_of(good), "good"),
    )  # fmt: skip
    assert (answer.status_code, wire.stored(answer)) == (202, [samples.sop_uid("b")])
    failures = wire.failed(answer)
    assert (samples.sop_uid("a") if metadata != 5 else None, 0xC000) in failures
    assert {reason for _, reason in failures} == {0xC000}


@pytest.mark.parametrize("tag", ["0020000D", "0020000E", "00080018", "00080016"])
def test_metadata_without_an_identifier_is_refused(client, tag):
    metadata = metadata_of(samples.ct("a"))
    del metadata[tag]
    answer = send(client, as_json(metadata), bulk(pixels_of(samples.ct("a"))))
    assert (answer.status_code, wire.failed(answer)) == (409, [(None, 0xC000)])


@pytest.mark.parametrize("document", [b"", b"{", b"[1,", b"\xff", b"[" * 5000 + b"]" * 5000])
def test_metadata_that_is_no_json_is_a_bad_request(client, document):
    wire.assert_error(send(client, ({"Content-Type": JSON}, document)), 400)


@pytest.mark.parametrize(
    "document",
    [
        b"<NativeDicomModel>",
        b'<!DOCTYPE a [<!ENTITY b "b"><!ENTITY c "&b;&b;&b;">]><NativeDicomModel>&c;'
        b"</NativeDicomModel>",
        b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><NativeDicomModel/>',
    ],
)
def test_metadata_that_is_no_native_dicom_model_is_refused(client, document):
    good = samples.ct("b")
    answer = send(
        client, ({"Content-Type": XML}, document), as_xml(metadata_of(good)),
        bulk(pixels_of(good)), kind=XML,
    )  # fmt: skip
    assert (answer.status_code, wire.stored(answer)) == (202, [samples.sop_uid("b")])
    assert wire.failed(answer) == [(None, 0xC000)]


def test_bulk_data_that_nothing_names_is_told_of(client):
    content = samples.ct("a")
    answer = send(
        client, as_json(metadata_of(content)), bulk(pixels_of(content)), bulk(b"x", "nobody"),
        ({"Content-Type": "application/octet-stream"}, b"nameless"),
    )  # fmt: skip
    assert (answer.status_code, len(wire.stored(answer))) == (202, 1)
    assert wire.failed(answer) == [(None, 0xC000)] * 2


@pytest.mark.parametrize("kind", ["image/jpeg", "image/jp2", "image/png", "image/gif", "x/y"])
def test_pixels_that_are_not_what_they_are_called_are_refused(client, kind):
    answer = send(client, as_json(metadata_of(samples.ct("a"))), bulk(b"no picture", kind=kind))
    assert (answer.status_code, wire.failed(answer)) == (409, [(samples.sop_uid("a"), 0xC000)])


def test_a_body_that_is_cut_short_is_a_bad_request(client):
    content = samples.ct("a")
    body = (
        f"--{BOUNDARY}\r\nContent-Type: {JSON}\r\n\r\n".encode()
        + orjson.dumps([metadata_of(content)])
        + f"\r\n--{BOUNDARY}\r\nContent-Location: bulk/1\r\n\r\n".encode()
        + pixels_of(content)
    )
    answer = client.post(
        wire.DICOMWEB + "/studies", content=body,
        headers={"Content-Type": f'multipart/related; type="{JSON}"; boundary={BOUNDARY}'},
    )  # fmt: skip
    wire.assert_error(answer, 400)


def test_too_much_metadata_and_too_many_parts_before_it_are_refused(services, connect):
    client = connect(replace(services, limits=Limits(metadata_bytes=1000, unclaimed_parts=3)))
    wire.assert_error(send(client, ({"Content-Type": JSON}, b" " * 2000)), 413)
    wire.assert_error(send(client, *[bulk(b"x", str(i)) for i in range(5)]), 413)


def test_what_waits_is_bounded(services, connect):
    client = connect(replace(services, limits=Limits(waiting_bytes=1000)))
    metadata = metadata_of(samples.ct("a")) | {"00091001": {"vr": "OB", "BulkDataURI": "never"}}
    wire.assert_error(send(client, as_json(metadata), bulk(b"x" * 2000)), 413)


@pytest.mark.parametrize(
    "document",
    [
        b"[" + b",".join([b"{}"] * 1_000_001) + b"]",
        b'[{"00400100":{"vr":"SQ","Value":[' + b",".join([b"[]"] * 1_000_001) + b"]}}]",
        b'[{"00090010":{"vr":"LO","Value":[' + b",".join([b'""'] * 4_000_002) + b"]}}]",
    ],
    ids=["objects", "arrays", "values"],
)
def test_metadata_that_would_take_far_more_memory_than_its_size_is_refused(client, document):
    before = time.monotonic()
    answer = send(client, ({"Content-Type": JSON}, document))
    assert answer.status_code == 413
    assert "The metadata has more than" in answer.json()["detail"]
    assert time.monotonic() - before < 10


def test_a_request_full_of_what_is_no_instance_ends_early_and_says_so(client):
    answer = send(client, ({"Content-Type": JSON}, b"[" + b",".join([b"{}"] * 60_000) + b"]"))
    assert answer.status_code == 409
    failures = wire.items(answer.json(), "0008119A")
    assert 10_000 < len(failures) < 11_000
    assert "More than 10,000 parts cannot be read" in wire.value(failures[-1], "00000902")
    content = samples.ct("after")
    assert wire.store(client, *[b"x"] * 10_050, content).status_code == 409
