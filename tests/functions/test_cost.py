"""The costs in docs/operations.md are what `make cost` computes, from requests counted here."""

from collections import Counter

from bench.cost import (
    INSTANCES_A_STORE,
    QUEUES,
    S3_GETS_A_FRAME,
    S3_PUTS_AN_INSTANCE,
    Workload,
    table,
)
from tests.helpers import samples
from tests.helpers.aws.deployed_stack import multipart
from tests.helpers.aws.sam_template import ROOT, load

FRAMES = 'multipart/related; type="application/octet-stream"; transfer-syntax=*'


def test_the_table_of_the_document_is_the_one_that_is_computed():
    assert table(Workload()) in (ROOT / "docs" / "operations.md").read_text("utf-8")


def test_stores_and_frames_make_as_many_requests_to_s3_as_are_counted(functions, recorder):
    def made(action: str) -> int:
        return sum(count for (_, each, _), count in recorder.calls.items() if each == action)

    body, media_type = multipart(samples.ct_series("costs of a store", INSTANCES_A_STORE))
    before = made("s3:PutObject")
    stored = functions.call("upload", "POST", "/dicom-web/studies", body, content_type=media_type)
    assert stored.status == 200
    assert made("s3:PutObject") - before == INSTANCES_A_STORE * S3_PUTS_AN_INSTANCE

    before = made("s3:GetObject")
    path = f"/dicom-web{samples.path('costs of a store')}/frames/1"
    assert functions.call("dicomweb", "GET", path, accept=FRAMES).status == 200
    assert made("s3:GetObject") - before == S3_GETS_A_FRAME


def test_every_queue_that_is_polled_is_counted():
    events = Counter(
        event["Type"]
        for resource in load()["Resources"].values()
        for event in resource.get("Properties", {}).get("Events", {}).values()
    )

    assert events["SQS"] == QUEUES
