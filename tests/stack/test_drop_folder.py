"""What is dropped into the bucket: event, queue, function, index."""

import json

import pytest

from tests.helpers import samples
from tests.helpers.aws.deployed_stack import eventually, keys


def drop(stack, key: str, content: bytes) -> None:
    stack.s3.put_object(Bucket=stack.bucket, Key=f"incoming/{key}", Body=content)


def found(stack, study: str) -> list:
    url = f"/dicom-web/studies/{samples.study_uid(study)}/instances"
    return stack.request("GET", url).json()


@pytest.mark.parametrize("key", ["a folder/in a folder/ü +%20&=.dcm", "a//b", "k" * 900])
def test_a_dropped_file_becomes_searchable_whatever_its_key(stack, study, key):
    drop(stack, f"{study}/{key}", samples.ct(study))
    eventually(lambda: len(found(stack, study)) == 1)
    eventually(lambda: not keys(stack, f"incoming/{study}/"))


def test_a_dropped_zip_becomes_searchable(stack, study):
    series = enumerate(samples.ct_series(study, 3))
    files = {f"below/{number}.dcm": content for number, content in series}
    drop(stack, f"{study}.zip", samples.zipped(files))
    eventually(lambda: len(found(stack, study)) == 3)


def test_a_dropped_file_that_is_refused_says_why_and_holds_up_no_other(stack, study):
    drop(stack, f"{study}/notes.txt", b"no DICOM")
    drop(stack, f"{study}/good.dcm", samples.ct(study))
    eventually(lambda: f"rejected/{study}/notes.txt" in keys(stack, f"rejected/{study}/"))
    report = stack.s3.get_object(Bucket=stack.bucket, Key=f"rejected/{study}/notes.txt.json")
    assert json.loads(report["Body"].read())["refused"][0]["detail"]
    eventually(lambda: len(found(stack, study)) == 1)
