"""Requests to the stack that several of its tests make."""

import secrets
import time
from collections.abc import Callable, Iterable

import requests

DICOM = "application/dicom"
AS_STORED = {"Accept": "application/dicom; transfer-syntax=*"}
SECONDS = 90


def store(stack, content: bytes):
    return stack.request(
        "POST", "/dicom-web/studies", data=content, headers={"Content-Type": DICOM}
    )


def multipart(files: Iterable[bytes]) -> tuple[bytes, str]:
    """A body that carries these files, and its media type."""
    boundary = f"part-{secrets.token_hex(8)}"
    head = f"--{boundary}\r\nContent-Type: {DICOM}\r\n\r\n".encode()
    parts = b"".join(head + content + b"\r\n" for content in files)
    media_type = f'multipart/related; type="{DICOM}"; boundary={boundary}'
    return parts + f"--{boundary}--\r\n".encode(), media_type


def keys(stack, prefix: str) -> set[str]:
    pages = stack.s3.get_paginator("list_objects_v2").paginate(Bucket=stack.bucket, Prefix=prefix)
    return {item["Key"] for page in pages for item in page.get("Contents", [])}


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.5)


ROWS = 1600


def uploaded(stack, *files: tuple[str, bytes]) -> dict:
    """Return the results of files that were put to presigned URLs."""
    wanted = {"files": [{"name": name, "size": len(content)} for name, content in files]}
    answer = stack.request("POST", "/uploads", json=wanted)
    assert answer.status_code == 201, answer.text
    for file, (_, content) in zip(answer.json()["files"], files, strict=True):
        requests.put(file["url"], content, timeout=90).raise_for_status()
    place = answer.headers["Location"]
    eventually(lambda: stack.http.get(place, timeout=90).json()["status"] == "done")
    return stack.http.get(place, timeout=90).json()
