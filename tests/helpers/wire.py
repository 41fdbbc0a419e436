"""What tests say and hear on the wire: multipart bodies, STOW-RS answers, DICOM JSON.

Written apart from the program's own code, so that a mistake there is not made here as well.
"""

import re
from typing import Any

import httpx2

DICOM = "application/dicom"
DICOM_JSON = "application/dicom+json"
DICOMWEB = "/dicom-web"
BOUNDARY = "lenticular-tests-boundary"
LONGEST_LINE = "API Gateway takes at most 10,240 bytes of request line and headers"
BY_HOST = "API Gateway finds the API by the Host header"


def multipart(
    *bodies: bytes, media_type: str = DICOM, boundary: str = BOUNDARY
) -> tuple[bytes, dict[str, str]]:
    """Body and headers of a multipart/related request (RFC 2387)."""
    parts = [
        f"--{boundary}\r\nContent-Type: {media_type}\r\n\r\n".encode() + body + b"\r\n"
        for body in bodies
    ]
    headers = {"Content-Type": f'multipart/related; type="{media_type}"; boundary={boundary}'}
    return b"".join(parts) + f"--{boundary}--\r\n".encode(), headers


def store(client: httpx2.Client, *files: bytes, study: str | None = None) -> httpx2.Response:
    """STOW-RS of these files in one request (PS3.18 10.5)."""
    content, headers = multipart(*files)
    path = f"{DICOMWEB}/studies" + (f"/{study}" if study else "")
    return client.post(path, content=content, headers={**headers, "Accept": DICOM_JSON})


def must_store(client: httpx2.Client, *files: bytes) -> None:
    """Store files that ought to be taken."""
    answer = store(client, *files)
    assert answer.status_code == 200, answer.text


def value(dataset: dict[str, Any], tag: str) -> Any:
    """The first value of an attribute of a DICOM JSON dataset, None when it has none."""
    values = dataset.get(tag, {}).get("Value")
    return values[0] if values else None


def items(dataset: dict[str, Any], tag: str) -> list[dict[str, Any]]:
    """The items of a sequence, none when it is absent."""
    return dataset.get(tag, {}).get("Value", [])


def stored(answer: httpx2.Response) -> list[str]:
    """The SOP Instance UIDs of a store's ReferencedSOPSequence."""
    return [value(item, "00081155") for item in items(answer.json(), "00081199")]


def failed(answer: httpx2.Response) -> list[tuple[str | None, int]]:
    """UID, None when it is unknown, and FailureReason of everything that was not stored.

    What has no UID cannot stand in FailedSOPSequence but in OtherFailuresSequence.
    """
    failures = items(answer.json(), "00081198")
    assert all(value(item, "00081150") and value(item, "00081155") for item in failures)
    others = items(answer.json(), "0008119A")
    assert not any(value(item, "00081155") for item in others)
    return [(value(item, "00081155"), value(item, "00081197")) for item in failures + others]


def parts(response: httpx2.Response) -> list[tuple[dict[str, str], bytes]]:
    """Headers and body of each part of a multipart/related answer."""
    content_type = response.headers["content-type"]
    assert content_type.startswith("multipart/related"), content_type
    found = re.search(r'boundary="?([^";]+)"?', content_type)
    assert found is not None, content_type
    delimiter = b"--" + found[1].encode()
    head, *pieces = (b"\r\n" + response.content).split(b"\r\n" + delimiter)
    assert not head.strip(), "a preamble in front of the first part"
    assert pieces[-1].startswith(b"--"), "no closing delimiter"
    return [_part(piece) for piece in pieces[:-1]]


def uids(matches: list[dict[str, Any]], tag: str = "0020000D") -> list[str]:
    """This UID of every match of a search."""
    return [value(match, tag) for match in matches]


def search(client: httpx2.Client, path: str = "/studies", **parameters: Any) -> Any:
    """The matches of a search (PS3.18 10.6)."""
    answer = client.get(DICOMWEB + path, params=parameters, headers={"Accept": DICOM_JSON})
    assert answer.status_code == 200, answer.text
    return answer.json()


def length_told(head: httpx2.Response) -> int | None:
    """The length that HEAD tells, if any; API Gateway gives its own under the usual name."""
    gateway = any(name.startswith("x-amzn-") for name in head.headers)
    length = head.headers.get("x-amzn-remapped-content-length" if gateway else "content-length")
    return None if length is None else int(length)


def assert_length(head: httpx2.Response, expected: int) -> None:
    """HEAD tells this length."""
    assert length_told(head) == expected


def assert_error(answer: httpx2.Response, *statuses: int) -> None:
    """A refusal: one of these statuses, the one shape of all errors, and no stack trace."""
    assert answer.status_code in statuses, (answer.status_code, answer.text[:300])
    assert answer.headers["content-type"].startswith("application/json")
    body = answer.json()
    assert set(body) == {"error", "detail"}, body
    assert body["error"]
    assert body["detail"]
    assert "Traceback" not in answer.text


def _part(piece: bytes) -> tuple[dict[str, str], bytes]:
    assert piece.startswith(b"\r\n")
    head, _, body = piece[2:].partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
    return headers, body
