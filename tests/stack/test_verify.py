"""`lenticular verify` on the deployed stack: everything but what the free LocalStack lacks.

It lets everybody in, which a verification has to report.
"""

import json

import boto3
import pytest
from click.testing import CliRunner

from lenticular.__main__ import main
from tests.helpers.aws.deployed_stack import keys

ORIGIN = ("--origin", "https://viewer.example")


@pytest.fixture
def aws(stack, monkeypatch):
    """The environment in which an operator verifies."""
    for name, value in stack.environment.items():
        monkeypatch.setenv(name, value)
    return boto3.client


def verified(stack) -> dict[str, dict]:
    """The results by name; this machine's name server knows the API by no name but LocalStack's."""
    api = stack.url.partition("://")[2].partition(".")[0]
    address = f"{stack.environment['AWS_ENDPOINT_URL']}/_aws/execute-api/{api}/v1"
    arguments = [address, "--sign", "--stack", "lenticular", *ORIGIN, "--json"]
    done = CliRunner().invoke(main, ["verify", *arguments])
    assert done.exit_code == 1
    return {result["name"]: result for result in json.loads(done.stdout)["checks"]}


def test_everything_passes_but_what_localstack_lets_in(stack, aws):
    before = keys(stack, "incoming/") | keys(stack, "rejected/")
    results = verified(stack)

    failed = {name for name, result in results.items() if result["status"] == "failed"}
    assert failed == {"forged", "anonymous", "alarms"}, results
    assert not [each for each in results.values() if each["status"] == "not checked"]
    assert results["large answer"]["detail"] == "20 MB by redirect to the bucket"
    assert results["upload in parts"]["detail"].endswith("in two parts")
    assert "AlarmEmail" in results["alarms"]["detail"]
    assert keys(stack, "incoming/") | keys(stack, "rejected/") == before


def test_alarms_that_reach_somebody_pass(stack, aws):
    (topic,) = {
        action
        for alarm in aws("cloudwatch").describe_alarms()["MetricAlarms"]
        for action in alarm["AlarmActions"]
        if alarm["AlarmName"].startswith("lenticular-")  # other tests deploy other stacks
    }
    address = "arn:aws:sqs:eu-central-1:000000000000:a-queue"
    subscription = aws("sns").subscribe(
        TopicArn=topic, Protocol="sqs", Endpoint=address, ReturnSubscriptionArn=True
    )
    try:
        results = verified(stack)
    finally:
        aws("sns").unsubscribe(SubscriptionArn=subscription["SubscriptionArn"])

    assert results["alarms"]["status"] == "ok"
    assert results["alarms"]["detail"].endswith("1 subscribed")
