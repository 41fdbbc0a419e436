"""Send by STOW-RS (PS3.18 10.5): several small files in a request, or one file of any size."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from uuid import uuid4

import urllib3

from lenticular.client.connection import TEMPORARY, Server, UploadFailed, json_of, reason
from lenticular.client.report import Report
from lenticular.client.sources import Source, Unreadable
from lenticular.client.streamed_body import Body, FileRange

# Below the limit of API Gateway and Lambda, where base64 adds a third.
REQUEST_BYTES = 4 * 1024 * 1024
REQUEST_FILES = 64
# An upper bound for what a part needs beside its file.
PART_BYTES = 128
STUDIES = "/dicom-web/studies"

_STORED = (HTTPStatus.OK, HTTPStatus.ACCEPTED)
_NO_STORE_SERVICE = (
    HTTPStatus.NOT_FOUND,
    HTTPStatus.METHOD_NOT_ALLOWED,
    HTTPStatus.NOT_IMPLEMENTED,
)

_REFERENCED = "00081199"  # ReferencedSOPSequence
_FAILED = ("00081198", "0008119A")  # FailedSOPSequence, OtherFailuresSequence
_FAILURE_REASON = "00081197"
_REASONS = ("00091001", "00000902")  # the whole sentence of Lenticular, ErrorComment
_OUT_OF_RESOURCES = range(0xA700, 0xA800)  # PS3.4 Table GG.4-1: no fault of the instance


@dataclass(frozen=True, slots=True)
class RequestTooLarge:
    """The server refuses requests of this size; these sources must be sent in another way."""

    sources: list[Source]
    reason: str


def batches(sources: Iterable[Source], limit: Callable[[], int]) -> Iterator[list[Source]]:
    """Group sources into requests, in their order; `limit` may become smaller meanwhile."""
    batch: list[Source] = []
    size = 2 * PART_BYTES
    for source in sources:
        cost = source.size + PART_BYTES
        if batch and (size + cost > limit() or len(batch) == REQUEST_FILES):
            yield batch
            batch, size = [], 2 * PART_BYTES
        batch.append(source)
        size += cost
    if batch:
        yield batch


def fits(source: Source, limit: int) -> bool:
    """Return True if a source fits into one request."""
    return source.size + 3 * PART_BYTES <= limit


def send_batch(server: Server, batch: Sequence[Source], report: Report) -> RequestTooLarge | None:
    """Store several sources in one request; if any is refused, send each one by itself."""
    contents: dict[Source, bytes] = {}
    for source in batch:
        try:
            contents[source] = source.read()
            source.check_unchanged()
        except Unreadable as error:
            contents.pop(source, None)
            _report_failure(report, source, failed=str(error))
    if not contents:
        return None
    response = _store(server, list(contents.values()), _do_not_count)
    if response.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return RequestTooLarge(list(contents), reason(response))
    if _all_stored(response, len(contents)):
        for source in contents:
            report.progress.add_bytes(source.size)
        report.stored(contents)
    elif len(contents) == 1:
        source = next(iter(contents))
        report.progress.add_bytes(source.size)
        _report_refusal(report, source, response)
    else:
        # The response names instances, not files, so ask for each file alone.
        for source in contents:
            send_batch(server, [source], report)
    return None


def send_large(server: Server, source: Source, report: Report) -> RequestTooLarge | None:
    """Store one source of any size, streamed from its file."""
    try:
        with source.open() as file:
            file_range = FileRange(file.fileno(), 0, source.size)
            response = _store(server, [file_range], report.progress.add_bytes)
        source.check_unchanged()
    except Unreadable as error:
        report.failed(source, str(error))
        return None
    if response.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        report.progress.add_bytes(-source.size)
        return RequestTooLarge([source], reason(response))
    if _all_stored(response, 1):
        report.stored([source])
    else:
        _report_refusal(report, source, response)
    return None


def _report_failure(report: Report, source: Source, failed: str) -> None:
    """Report that a source could not be read or sent."""
    report.progress.add_bytes(source.size)
    report.failed(source, failed)


def _store(
    server: Server, contents: Sequence[bytes | FileRange], count: Callable[[int], None]
) -> urllib3.BaseHTTPResponse:
    """Send instances in one request."""
    boundary = uuid4().hex
    # multipart/related even for one: other servers accept nothing else.
    parts: list[bytes | FileRange] = []
    for content in contents:
        parts += [
            f"\r\n--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode(), content
        ]  # fmt: skip
    parts.append(f"\r\n--{boundary}--\r\n".encode())
    headers = {
        "Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}',
        "Accept": "application/dicom+json",
    }
    body = Body(parts, server.stop, count)
    response = server.call("POST", STUDIES, body, headers)
    _require_store_service(server, response)
    return response


def _require_store_service(server: Server, response: urllib3.BaseHTTPResponse) -> None:
    """Stop at the first response that shows a wrong address, instead of sending all files there."""
    is_other_service = response.status in _STORED and not json_of(response)
    if is_other_service or response.status in _NO_STORE_SERVICE:
        raise UploadFailed(
            f"{server.url} is not a DICOMweb server: POST {STUDIES} is answered"
            f" {reason(response)}. "
            "Give the address without /dicom-web, for example --to http://127.0.0.1:8042."
        )


def _do_not_count(_: int) -> None:
    """Do nothing: files that share a request count after its response, as it may be repeated."""


def _all_stored(response: urllib3.BaseHTTPResponse, count: int) -> bool:
    """Return True if the response names this many stored instances, and none that failed."""
    stored = _items(response, _REFERENCED)
    return response.status in _STORED and len(stored) >= count and not _failures(response)


def _failures(response: urllib3.BaseHTTPResponse) -> list[dict[str, Any]]:
    """Return the items of refused instances."""
    return [item for tag in _FAILED for item in _items(response, tag)]


def _items(response: urllib3.BaseHTTPResponse, tag: str) -> list[dict[str, Any]]:
    """Return the items of a sequence in the response."""
    found = json_of(response).get(tag, {}).get("Value", [])
    return found if isinstance(found, list) else []


def _report_refusal(report: Report, source: Source, response: urllib3.BaseHTTPResponse) -> None:
    """Report why the server refused a source."""
    failures = _failures(response)
    if not failures:
        passing = (
            response.status in TEMPORARY or response.status >= HTTPStatus.INTERNAL_SERVER_ERROR
        )
        (report.failed if passing else report.refused)(source, reason(response))
        return
    number = _value(failures[0], _FAILURE_REASON)
    reasons = [text for tag in _REASONS if (text := _value(failures[0], tag))]
    why = str(reasons[0]) if reasons else f"failure reason 0x{number or 0:04X}"
    (report.failed if number in _OUT_OF_RESOURCES else report.refused)(source, why)


def _value(item: dict[str, Any], tag: str) -> Any:
    """Return the first value of an attribute."""
    values = item.get(tag, {}).get("Value")
    return values[0] if values else None
