"""What the tests of storing metadata and bulk data share: how such requests are made."""

import io
import json
from typing import Any

import orjson
import pydicom

from lenticular.dicom.json_and_xml.xml_writer import to_xml
from tests.helpers import wire

JSON, XML = wire.DICOM_JSON, "application/dicom+xml"
BOUNDARY = "here--it--ends"

Part = tuple[dict[str, str], bytes]


def metadata_of(content: bytes, uri: str = "bulk/1") -> dict[str, Any]:
    """The DICOM JSON of a file by pydicom, its pixels under the URI."""
    dataset = pydicom.dcmread(io.BytesIO(content))
    if "PixelData" in dataset:
        del dataset.PixelData
    found: dict[str, Any] = json.loads(dataset.to_json())
    return found | {"7FE00010": {"vr": "OW", "BulkDataURI": uri}}


def as_json(*datasets: dict[str, Any], **parameters: str) -> Part:
    extra = "".join(f"; {name.replace('_', '-')}={value}" for name, value in parameters.items())
    return {"Content-Type": JSON + extra}, orjson.dumps(datasets)


def as_xml(dataset: dict[str, Any]) -> Part:
    return {"Content-Type": XML}, to_xml(dataset)


def bulk(content: bytes, uri: str = "bulk/1", kind: str = "application/octet-stream") -> Part:
    return {"Content-Type": kind, "Content-Location": uri}, content


def send(client, *parts: Part, kind: str = JSON, path: str = "/studies", **headers: str):
    body = b"".join(
        f"--{BOUNDARY}\r\n".encode()
        + "".join(f"{name}: {value}\r\n" for name, value in names.items()).encode()
        + b"\r\n" + content + b"\r\n"
        for names, content in parts
    )  # fmt: skip
    content_type = f'multipart/related; type="{kind}"; boundary={BOUNDARY}'
    return client.post(
        wire.DICOMWEB + path,
        content=body + f"--{BOUNDARY}--\r\n".encode(),
        headers={"Accept": JSON, "Content-Type": content_type, **headers},
    )


def pixels_of(content: bytes) -> bytes:
    return pydicom.dcmread(io.BytesIO(content)).PixelData
