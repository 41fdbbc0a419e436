"""A dropped file larger than memory: its pixels go through the disk, and never through memory."""

import json
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from lenticular.dicom.model import Target
from lenticular.index import Index
from tests.helpers import samples
from tests.helpers.aws.events import s3_event, sqs_event
from tests.helpers.files.large_objects import MEMORY, checksum, large_object
from tests.helpers.s3 import make_bucket, s3_client

FRAMES = 1100  # of a megabyte each: what is kept is copied in parts inside the service
KEY = "incoming/large.dcm"
ROOT = Path(__file__).parents[2]
PROGRAM = """
import json, sys
from pathlib import Path
from lenticular.storage import s3
s3.READ_SECONDS = 60  # the emulator reads the whole gigabyte before it answers
from ingest.handler import handler
from tests.helpers.aws.api_gateway import Context

print(json.dumps(handler(json.load(sys.stdin), Context())))
(peak,) = [line for line in Path("/proc/self/status").open() if line.startswith("VmHWM")]
print(peak.split()[1])
"""


@pytest.mark.slow
def test_a_gigabyte_is_taken_from_the_drop_folder_within_300_megabytes(s3_environment, tmp_path):
    make_bucket(s3_environment, "large-drops")
    client = s3_client(s3_environment)
    file = tmp_path / "large.dcm"
    with file.open("wb") as writing:
        writing.writelines(large_object("dropped", FRAMES))
    client.upload_file(str(file), "large-drops", KEY)
    file.unlink()
    url = f"sqlite:///{tmp_path / 'index.sqlite'}"
    with closing(Index(url)) as index:
        index.migrate()
        answer, kilobytes = taken("large-drops", s3_environment, url, tmp_path)
        (stored,) = index.retrieval.find(Target(samples.study_uid("dropped")))

    assert answer == {"batchItemFailures": []}
    assert kilobytes * 1024 < MEMORY
    assert stored.sha256.hex() == checksum(large_object("dropped", FRAMES))
    assert client.head_object(Bucket="large-drops", Key=stored.key)["ContentLength"] == stored.size


def taken(bucket: str, s3: dict[str, str], index: str, folder: Path) -> tuple[dict, int]:
    """What the function answers in a process of its own, and the most memory that it took."""
    lenticular = {"LENTICULAR_STORAGE": f"s3://{bucket}", "LENTICULAR_INDEX": index}
    path = {"PYTHONPATH": f"{ROOT / 'functions'}:{ROOT}", "TMPDIR": str(folder)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**s3, **lenticular, **path},
        input=json.dumps(sqs_event(s3_event(bucket, KEY))),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    *_, answer, peak = done.stdout.splitlines()
    return json.loads(answer), int(peak)
