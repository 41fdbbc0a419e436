"""`sam local invoke` with the sample events: containers, the stack's index, a bucket of its own."""

import base64
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers import samples

ROOT = Path(__file__).parents[2]
PLACE = ROOT / "build" / "stack"
BUCKET = "lenticular"

Invoke = Callable[[str, str], dict]


@pytest.fixture(scope="module")
def invoke(stack) -> Invoke:
    """Call a function with a sample event as docs/localstack.md says; the schema is there."""
    if not stack.image:
        pytest.skip("Docker does not answer here, or has no image that functions run in")

    def call(function: str, event: str) -> dict:
        done = subprocess.run(
            [
                *(PLACE / "sam" / "bin" / "sam", "local", "invoke", function),
                *("--event", f"events/{event}.json", "--env-vars", PLACE / "env.json"),
                *("--invoke-image", stack.image, "--skip-pull-image"),
            ],
            cwd=ROOT,
            env={**os.environ, **stack.environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    assert call("MaintenanceFunction", "maintenance-migrate") == {"complete": True}
    return call


@pytest.fixture(scope="module")
def stored(invoke: Invoke) -> None:
    """The sample instance, stored by its event."""
    assert invoke("UploadFunction", "upload-stow")["statusCode"] == 200


@pytest.mark.usefixtures("stored")
def test_the_search_finds_what_the_upload_has_stored(invoke):
    answer = invoke("DicomwebFunction", "dicomweb-search")
    assert answer["statusCode"] == 200
    assert json.loads(answer["body"])


@pytest.mark.usefixtures("stored")
def test_the_preview_makes_a_picture_of_it(invoke):
    answer = invoke("PreviewFunction", "preview-rendered")
    assert answer["statusCode"] == 200
    assert base64.b64decode(answer["body"]).startswith(b"\xff\xd8")


def test_the_ingest_takes_the_dropped_object(stack, invoke):
    key = "incoming/a study/image 1.dcm"
    stack.s3.put_object(Bucket=BUCKET, Key=key, Body=samples.ct("sam local"))
    assert invoke("IngestFunction", "ingest-dropped") == {"batchItemFailures": []}
    assert not stack.s3.list_objects_v2(Bucket=BUCKET, Prefix=key).get("Contents")


def test_the_authorizer_refuses_what_is_no_token(invoke):
    assert invoke("AuthorizerFunction", "authorizer-token")["errorMessage"] == "Unauthorized"
