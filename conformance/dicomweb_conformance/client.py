"""Requests to the service under test, and readers of its responses."""

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
        """Send a request; without a content coding, so that bytes can be compared."""
        headers = {"Accept-Encoding": "identity", **options.pop("headers", {})}
        # Only the necessary characters are percent-encoded, so that a service that does not decode
        # fails in the test of just that.
        if parameters := options.pop("params", None):
            url += "?" + urlencode(parameters, quote_via=quote, safe="*?,:;@/!$'()")
        headers["Accept"] = accept if accept is not None else "*/*"
        return self.session.request(method, url, headers=headers, timeout=60, **options)

    def search(self, path: str, accept: str = JSON, **parameters: Any) -> list[dict[str, Any]]:
        """Return the matches of a search."""
        response = self.get(path, accept, params=parameters)
        if response.status_code == 204:
            return []
        assert response.status_code == 200, explained(response)
        found: list[dict[str, Any]] = response.json()
        return found

    def store(
        self, *files: bytes, study: str | None = None, accept: str = JSON
    ) -> requests.Response:
        """Store instances in one request (PS3.18 10.5)."""
        body, content_type = multipart([(DICOM, file) for file in files], DICOM)
        url = f"{self.url}/studies" + (f"/{study}" if study else "")
        return self.request("POST", url, accept, data=body, headers={"Content-Type": content_type})


def multipart(parts: list[tuple[str, bytes]], root: str) -> tuple[bytes, str]:
    """Return body and content type of a multipart/related request."""
    pieces = [
        f"--{BOUNDARY}\r\nContent-Type: {part_type}\r\n\r\n".encode() + body + b"\r\n"
        for part_type, body in parts
    ]
    return (
        b"".join(pieces) + f"--{BOUNDARY}--\r\n".encode(),
        f'multipart/related; type="{root}"; boundary={BOUNDARY}',
    )


def parts(response: requests.Response) -> list[tuple[dict[str, str], bytes]]:
    """Return headers (in lower case) and body of each part of a multipart response."""
    content_type = response.headers["Content-Type"]
    assert content_type.lower().startswith("multipart/related"), content_type
    found = re.search(r'boundary="?([^";]+)"?', content_type)
    assert found, "multipart without a boundary"
    _, *pieces, end = (b"\r\n" + response.content).split(b"\r\n--" + found[1].encode())
    assert end.startswith(b"--"), "multipart without its end"
    return [_part(piece) for piece in pieces]


def _part(piece: bytes) -> tuple[dict[str, str], bytes]:
    """Return headers and body of a part."""
    head, _, body = piece.partition(b"\r\n\r\n")
    lines = (line.split(":", 1) for line in head.decode().split("\r\n") if ":" in line)
    return {name.strip().lower(): value.strip() for name, value in lines}, body


def explained(response: requests.Response) -> str:
    """Return the text about a response for the report of a failed test."""
    return f"{response.request.method} {response.url}: {response.status_code} {response.text[:200]}"


def ok(response: requests.Response) -> requests.Response:
    """Return the response, which must be 200."""
    assert response.status_code == 200, explained(response)
    return response


def optional(response: requests.Response) -> requests.Response:
    """Return the response of a feature that is optional; skip the test if it is not supported."""
    if response.status_code in NOT_SUPPORTED:
        pytest.skip(f"optional, not supported: {response.status_code}")
    return ok(response)


def media_type_of(response: requests.Response) -> str:
    """Return the media type of a response without its parameters."""
    return response.headers.get("Content-Type", "").split(";")[0].strip().lower()


def value(dataset: dict[str, Any], tag: str) -> Any:
    """Return the first value of an attribute in DICOM JSON, None if it has none."""
    values = dataset.get(tag, {}).get("Value")
    return values[0] if values else None


def values(matches: list[dict[str, Any]], tag: str) -> list[Any]:
    """Return an attribute of each match."""
    return [value(match, tag) for match in matches]
