"""Checks of the transactions: store, search, retrieve, render, large files, delete."""

import tempfile
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import orjson

from lenticular.cli.verify.run import CheckFailed, NotChecked, Verification
from lenticular.cli.verify.samples import PATIENT_ID, SampleInstance, sample_instance
from lenticular.client.connection import Authorizer, ServerCredentials, reason
from lenticular.client.upload import upload_all
from lenticular.dicom import tags

_SMALL_ROWS = 64
_LARGE_ROWS = 3200  # 20 MB
_ROWS_IN_PARTS = 5900  # 70 MB: two parts of an upload session
_AS_STORED = {"Accept": "application/dicom; transfer-syntax=*"}
_FRAMES = {"Accept": 'multipart/related; type="application/octet-stream"; transfer-syntax=*'}
_SIGNATURES = {"image/png": b"\x89PNG", "image/jpeg": b"\xff\xd8"}
_REDIRECTS = (302, 303, 307)
_NO_BOUNDARY_IN_IT = "lenticular-verify"


def health(verification: Verification) -> str:
    """Check that the server answers and reaches files and index."""
    answer = verification.expect([200], "GET", "/health")
    return str(orjson.loads(answer.data).get("status", "it answers"))


def store(verification: Verification) -> str:
    """Store a small instance."""
    sample = sample_instance(_SMALL_ROWS)
    verification.stored.append(sample)
    boundary = _NO_BOUNDARY_IN_IT
    body = (
        f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
        + sample.content
        + f"\r\n--{boundary}--\r\n".encode()
    )
    media_type = f'multipart/related; type="application/dicom"; boundary={boundary}'
    headers = {"Content-Type": media_type, "Accept": "application/dicom+json"}
    answer = verification.expect([200], "POST", "/dicom-web/studies", body, headers)
    if tags.REFERENCED_SOP_SEQUENCE not in orjson.loads(answer.data):
        raise CheckFailed("The answer to a store does not name the stored instance.")
    return "an instance stored by STOW-RS"


def search(verification: Verification) -> str:
    """Find the stored instance at each level."""
    sample = _stored(verification)
    for path in (
        f"/dicom-web/studies?PatientID={PATIENT_ID}&StudyInstanceUID={sample.study}",
        f"{sample.study_path}/series",
        f"{sample.study_path}/instances",
    ):
        if (found := count(verification, path)) != 1:
            raise CheckFailed(f"GET {path} finds {found} results where there should be 1.")
    return "found as study, series and instance"


def retrieve(verification: Verification) -> str:
    """Retrieve instance, metadata and frame of the stored instance."""
    sample = _stored(verification)
    if verification.expect([200], "GET", sample.path, None, _AS_STORED).data != sample.content:
        raise CheckFailed("The instance comes back with other bytes than it was stored with.")
    (metadata,) = orjson.loads(verification.expect([200], "GET", f"{sample.path}/metadata").data)
    if metadata[tags.SOP_INSTANCE_UID]["Value"] != [sample.instance]:
        raise CheckFailed("The metadata is of another instance.")
    path = f"{sample.path}/frames/1"
    if sample.pixels not in verification.expect([200], "GET", path, None, _FRAMES).data:
        raise CheckFailed("The frame comes back with other bytes than it was stored with.")
    return "instance, metadata and frame"


def rendered(verification: Verification) -> str:
    """Retrieve the stored instance as a picture."""
    path = f"{_stored(verification).path}/rendered"
    for media_type, signature in _SIGNATURES.items():
        answer = verification.expect([200], "GET", path, None, {"Accept": media_type})
        if not answer.data.startswith(signature):
            raise CheckFailed(f"GET {path} gives no {media_type}.")
    return " and ".join(_SIGNATURES)


def large_answer(verification: Verification) -> str:
    """Retrieve an instance of 20 MB, from the bucket if the server redirects there."""
    sample = _upload(verification, _LARGE_ROWS)
    answer = verification.call("GET", sample.path, None, _AS_STORED)
    way = "in one answer"
    if answer.status in _REDIRECTS:
        # As web pages follow it: their origin is opaque after a redirect elsewhere.
        answer = verification.fetch("GET", answer.headers["Location"], None, {"Origin": "null"})
        way = "by redirect to the bucket"
        if answer.status == 200 and answer.headers.get("Access-Control-Allow-Origin") != "*":
            raise CheckFailed("Web pages may not read from the bucket: its CORS rules are missing.")
    if answer.status != 200:
        raise CheckFailed(f"20 MB, {way}: {reason(answer)}.")
    if answer.data != sample.content:
        raise CheckFailed(f"20 MB, {way}: other bytes than were stored.")
    return f"20 MB {way}"


def upload_in_parts(verification: Verification) -> str:
    """Upload a file in parts to presigned URLs, as `lenticular upload` does."""
    question = orjson.dumps({"files": [{"name": "verify.dcm", "size": 1}]})
    headers = {"Content-Type": "application/json"}
    if verification.call("POST", "/uploads", question, headers).status in (404, 405, 501):
        raise NotChecked("this server takes files of any size in one request.")
    sample = _upload(verification, _ROWS_IN_PARTS)
    if count(verification, f"{sample.study_path}/instances") != 1:
        raise CheckFailed("The upload is reported as stored, but the instance is not found.")
    return f"{len(sample.content) // 1_000_000} MB in two parts"


def delete(verification: Verification) -> str:
    """Delete the stored instance with its study."""
    sample = _stored(verification)
    verification.expect([200, 204], "DELETE", sample.study_path)
    verification.expect([404, 410], "GET", f"{sample.path}/metadata")
    if count(verification, f"/dicom-web/studies?StudyInstanceUID={sample.study}"):
        raise CheckFailed("A search still finds the deleted study.")
    return "neither found nor retrieved any more"


def count(verification: Verification, path: str) -> int:
    """Return the number of results of a search."""
    answer = verification.expect([200, 204, 404, 410], "GET", path)
    return len(orjson.loads(answer.data)) if answer.status == 200 else 0


def _stored(verification: Verification) -> SampleInstance:
    """Return the small instance, which `store` was the first to note."""
    if not verification.stored:
        raise NotChecked("nothing could be stored.")
    return verification.stored[0]


def _upload(verification: Verification, rows: int) -> SampleInstance:
    sample = sample_instance(rows)
    verification.stored.append(sample)
    said = StringIO()
    authorizer: Authorizer = next(iter(verification.authorizers), ServerCredentials())
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(said), redirect_stderr(said):
        file = Path(folder) / "verify.dcm"
        file.write_bytes(sample.content)
        if not upload_all([file], verification.url, authorizer, restart=True, patience=120):
            raise CheckFailed(f"The upload failed: {' '.join(said.getvalue().split())}")
    return sample
