"""Checks of what is beside HTTP: the drop folder and the alarms, by AWS's own API."""

from collections.abc import Iterator
from functools import cached_property, partial
from typing import Any

from lenticular.cli.verify.run import CheckFailed, NotChecked, Verification, eventually
from lenticular.cli.verify.samples import SampleInstance, sample_instance
from lenticular.cli.verify.transactions import count

_ROWS = 64
_NEEDS_STACK = "name the stack with --stack"


class DeployedStack:
    """A stack of CloudFormation, with the AWS credentials of this machine."""

    def __init__(self, name: str) -> None:
        try:
            import boto3
        except ImportError as error:
            raise CheckFailed("--stack needs boto3: pip install 'lenticular[aws]'.") from error
        self._client = boto3.client
        self.name = name

    @cached_property
    def bucket(self) -> str:
        """The name of its bucket."""
        return str(self._outputs["BucketName"])

    def drop(self, key: str, content: bytes) -> None:
        """Put an object into its bucket."""
        self._s3.put_object(Bucket=self.bucket, Key=key, Body=content)

    def holds(self, key: str) -> bool:
        """Return True if its bucket has this object."""
        found = self._s3.list_objects_v2(Bucket=self.bucket, Prefix=key, MaxKeys=1)
        return bool(found.get("KeyCount"))

    def remove(self, key: str) -> None:
        """Remove an object from its bucket, if it is there."""
        self._s3.delete_object(Bucket=self.bucket, Key=key)

    def alarms(self) -> list[dict[str, Any]]:
        """Return its alarms as CloudWatch has them."""
        names = list(self._physical_names("AWS::CloudWatch::Alarm"))
        found = self._client("cloudwatch").describe_alarms(AlarmNames=names, MaxRecords=100)
        alarms: list[dict[str, Any]] = found["MetricAlarms"]
        if len(alarms) != len(names):
            raise CheckFailed(f"Of {len(names)} alarms of the template, {len(alarms)} exist.")
        return alarms

    def subscriptions(self, topic: str) -> list[str]:
        """Return the ARNs of a topic's subscriptions; those not confirmed have none."""
        found = self._client("sns").list_subscriptions_by_topic(TopicArn=topic)
        return [each["SubscriptionArn"] for each in found["Subscriptions"]]

    def stages(self) -> list[str]:
        """Return the names of the stages of its API."""
        found = self._client("apigateway").get_stages(restApiId=self._outputs["ApiId"])
        return [each["stageName"] for each in found["item"]]

    @cached_property
    def _s3(self) -> Any:
        return self._client("s3")

    @cached_property
    def _outputs(self) -> dict[str, str]:
        (stack,) = self._client("cloudformation").describe_stacks(StackName=self.name)["Stacks"]
        return {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}

    def _physical_names(self, kind: str) -> Iterator[str]:
        pages = self._client("cloudformation").get_paginator("list_stack_resources")
        for page in pages.paginate(StackName=self.name):
            for resource in page["StackResourceSummaries"]:
                if resource["ResourceType"] == kind:
                    yield resource["PhysicalResourceId"]


def drop_folder(verification: Verification) -> str:
    """Drop a file, and wait until it is found and gone from the folder."""
    sample = sample_instance(_ROWS)
    name = f"lenticular-verify-{sample.instance}.dcm"
    if verification.stack is not None:
        _drop_into_bucket(verification, verification.stack, name, sample)
    elif verification.drop_folder is not None:
        _drop_into_folder(verification, name, sample)
    else:
        raise NotChecked(f"{_NEEDS_STACK}, or the folder with --drop.")
    return "a dropped file was stored and taken away"


def alarms(verification: Verification) -> str:
    """Check that the alarms exist, are quiet, and reach somebody."""
    if verification.stack is None:
        raise NotChecked(f"{_NEEDS_STACK}.")
    found = verification.stack.alarms()
    silent = [each["AlarmName"] for each in found if not each["AlarmActions"]]
    ringing = [each["AlarmName"] for each in found if each["StateValue"] == "ALARM"]
    if silent or ringing:
        text = f"{', '.join(silent)} tell nobody. " if silent else ""
        text += f"{', '.join(ringing)} ring: see docs/operations.md, Alarms." if ringing else ""
        raise CheckFailed(text.strip())
    topics = {topic for each in found for topic in each["AlarmActions"]}
    arns = [arn for topic in topics for arn in verification.stack.subscriptions(topic)]
    if not arns:
        raise CheckFailed("Nobody gets the alarms: deploy with AlarmEmail.")
    if not any(arn.startswith("arn:") for arn in arns):
        raise CheckFailed("Nobody has confirmed the e-mail that AWS sent to AlarmEmail.")
    return f"{len(found)} alarms, none rings, {len(arns)} subscribed"


def _drop_into_bucket(
    verification: Verification, stack: DeployedStack, name: str, sample: SampleInstance
) -> None:
    key = f"incoming/{name}"
    verification.stored.append(sample)
    for left in (key, f"rejected/{name}", f"rejected/{name}.json"):
        verification.undo.append(partial(stack.remove, left))
    stack.drop(key, sample.content)
    _await_dropped(verification, sample)
    eventually(lambda: not stack.holds(key), f"{key} was stored and is still in the bucket.")


def _drop_into_folder(verification: Verification, name: str, sample: SampleInstance) -> None:
    assert verification.drop_folder is not None
    file = verification.drop_folder / name
    verification.stored.append(sample)
    verification.undo.append(lambda: file.unlink(missing_ok=True))
    try:
        file.write_bytes(sample.content)
    except OSError as error:
        raise CheckFailed(f"{file} cannot be written: {error.strerror}.") from error
    _await_dropped(verification, sample)
    eventually(lambda: not file.exists(), f"{file} was stored and is still there.")


def _await_dropped(verification: Verification, sample: SampleInstance) -> None:
    eventually(
        lambda: count(verification, f"{sample.study_path}/instances") == 1,
        "A dropped file was not stored. See the log of the function Ingest and rejected/",
    )
