"""The service under test: requests, and what their answers say."""

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import pytest
import requests

DICOM = "application/dicom"
JSON = "application/dicom+json"
XML = "application/dicom+xml"
OCTETS = "application/octet-stream"
BOUNDARY = "conformance-boundary"
NOT_SUPPORTED = {400, 404, 405, 406, 415, 501}


@dataclass
class Service:
    """A DICOMweb service at a base URL."""

    url: str
    wado_uri: str
    session: requests.Session

    def get(self, path: str = "", accept: str | None = None, **options: Any) -> requests.Response:
        """Retrieve a resource below the base URL."""
        return self.request("GET", self.url + path, accept, **options)

    def request(
        self, method: str, url: str, accept: str | None = None, **options: Any
    ) -> requests.Response:
        """Any request; bodies without a content coding, so that bytes can be compared."""
        headers = {"Accept-Encoding": "identity", **options.pop("headers", {})}
        # Only what has to be percent-encoded is, so that a service which does not decode fails
        # in the test of just that.
        if parameters := options.pop("params", None):
            url += "?" + urlencode(parameters, quote_via=quote, safe="*?,:;@/!$'()")
        headers["Accept"] = accept if accept is not None else "*/*"
        return self.session.request(method, url, headers=headers, timeout=60, **options)

    def search(self, path: str, accept: str = JSON, **parameters: Any) -> list[dict[str, Any]]:
        """The matches of a search."""
        answer = self.get(path, accept, params=parameters)
        if answer.status_code == 204:
            return []
        assert answer.status_code == 200, explained(answer)
        found: list[dict[str, Any]] = answer.json()
        return found

    def store(
        self, *files: bytes, study: str | None = None, accept: str = JSON
    ) -> requests.Response:
        """Store instances in one request (PS3.18 10.5)."""
        body, content_type = multipart([(DICOM, file) for file in files], DICOM)
        url = f"{self.url}/studies" + (f"/{study}" if study else "")
        return self.request("POST", url, accept, data=body, headers={"Content-Type": content_type})


def multipart(parts: list[tuple[str, bytes]], root: str) -> tuple[bytes, str]:
    """Body and content type of a multipart/related request."""
    pieces = [
        f"--{BOUNDARY}\r\nContent-Type: {kind}\r\n\r\n".encode() + body + b"\r\n"
        for kind, body in parts
    ]
    return (
        b"".join(pieces) + f"--{BOUNDARY}--\r\n".encode(),
        f'multipart/related; type="{root}"; boundary={BOUNDARY}',
    )


def parts(answer: requests.Response) -> list[tuple[dict[str, str], bytes]]:
    """Headers (in lower case) and body of each part of a multipart answer."""
    content_type = answer.headers["Content-Type"]
    assert content_type.lower().startswith("multipart/related"), content_type
    found = re.search(r'boundary="?([^";]+)"?', content_type)
    assert found, "multipart without a boundary"
    _, *pieces, end = (b"\r\n" + answer.content).split(b"\r\n--" + found[1].encode())
    assert end.startswith(b"--"), "multipart without its end"
    return [_part(piece) for piece in pieces]


def _part(piece: bytes) -> tuple[dict[str, str], bytes]:
    head, _, body = piece.partition(b"\r\n\r\n")
    lines = (line.split(":", 1) for line in head.decode().split("\r\n") if ":" in line)
    return {name.strip().lower(): value.strip() for name, value in lines}, body


def explained(answer: requests.Response) -> str:
    """Return the text about a response for the report of a failed test."""
    return f"{answer.request.method} {answer.url}: {answer.status_code} {answer.text[:200]}"


def ok(answer: requests.Response) -> requests.Response:
    """The answer, which has to be 200."""
    assert answer.status_code == 200, explained(answer)
    return answer


def optional(answer: requests.Response) -> requests.Response:
    """The answer of something that the standard leaves to the service."""
    if answer.status_code in NOT_SUPPORTED:
        pytest.skip(f"optional, not supported: {answer.status_code}")
    return ok(answer)


def kind(answer: requests.Response) -> str:
    """The media type of an answer without its parameters."""
    return answer.headers.get("Content-Type", "").split(";")[0].strip().lower()


def value(dataset: dict[str, Any], tag: str) -> Any:
    """The first value of an attribute in DICOM JSON, None when it has none."""
    values = dataset.get(tag, {}).get("Value")
    return values[0] if values else None


def values(matches: list[dict[str, Any]], tag: str) -> list[Any]:
    """Return an attribute of each match."""
    return [value(match, tag) for match in matches]
