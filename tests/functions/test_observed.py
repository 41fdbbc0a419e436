"""What the functions tell of their work: logs, metrics and traces, as CloudWatch reads them."""

import io
import json

import pytest

from tests.helpers import samples
from tests.helpers.aws.api_gateway import Context, event
from tests.helpers.aws.events import drop, s3_event, sqs_event

__all__ = ["drop"]

REQUEST = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"
DICOM = {"Content-Type": "application/dicom"}


@pytest.fixture
def told(import_function, capsys):
    """Call a function; its log records, and the metrics that CloudWatch makes of what it prints."""
    shared = import_function("shared")

    def call(handler, asked):
        logs = io.StringIO()
        for each in shared.logger.handlers:
            each.setStream(logs)
        capsys.readouterr()
        handler(asked, Context())
        printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        metrics = {}
        for document in printed:
            for directive in document["_aws"]["CloudWatchMetrics"]:
                assert directive["Namespace"] == "Lenticular"
                for metric in directive["Metrics"]:
                    metrics[metric["Name"]] = (document[metric["Name"]], metric["Unit"])
        return [json.loads(line) for line in logs.getvalue().splitlines()], metrics

    return call


def test_a_store_is_counted_with_its_bytes_and_its_time(import_function, told):
    content = samples.ct("observed")
    asked = event("POST", "/dicom-web/studies", content, DICOM)

    _, metrics = told(import_function("upload.handler").handler, asked)

    assert metrics["Stored"] == ([1.0], "Count")
    assert metrics["Bytes"] == ([float(len(content))], "Bytes")
    assert metrics["Refused"] == ([0.0], "Count")
    (milliseconds,), unit = metrics["Latency"]
    assert milliseconds > 0
    assert unit == "Milliseconds"


def test_what_is_refused_is_counted(import_function, told):
    asked = event("POST", "/dicom-web/studies", b"no DICOM", DICOM)

    _, metrics = told(import_function("upload.handler").handler, asked)

    assert metrics["Refused"] == ([1.0], "Count")
    assert metrics["Stored"] == ([0.0], "Count")


def test_the_first_call_of_an_environment_is_counted_as_a_cold_start(import_function, told):
    from aws_lambda_powertools.metrics.provider import cold_start

    handler = import_function("dicomweb.handler").handler
    search = event("GET", "/dicom-web/studies")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cold_start, "is_cold_start", True)

        _, first = told(handler, search)
        _, second = told(handler, search)

    assert first["ColdStart"] == ([1.0], "Count")
    assert "ColdStart" not in second


def test_every_line_of_a_request_has_the_id_by_which_api_gateway_knows_it(import_function, told):
    asked = event("POST", "/dicom-web/studies", samples.ct("correlated"), DICOM)

    logs, _ = told(import_function("upload.handler").handler, asked)

    assert logs
    assert {line["correlation_id"] for line in logs} == {REQUEST}
    assert {line["function_request_id"] for line in logs} == {Context.aws_request_id}


def test_a_dropped_object_is_counted_like_a_store(ingest, storage, drop, told):
    key = drop("incoming/counted", samples.ct("counted"))

    _, metrics = told(ingest.handler, sqs_event(s3_event(storage.bucket, key)))

    assert metrics["Stored"] == ([1.0], "Count")
    assert "Latency" in metrics
