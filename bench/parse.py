"""The head of a CT of 250 elements to DICOM JSON: ours against pydicom's, in one process.

`python -m bench.parse` prints both; the comparison with Orthanc includes it as a row.
"""

import importlib
import io
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import orjson
from pydicom import dcmread

from bench.files import Shape, Templates
from bench.report import Goal, Row
from bench.servers import PACKAGE

GOAL = Goal(0.2)  # 1.2 ms against 6 ms


def measure(folder: Path, repeats: int) -> Row | None:
    """Milliseconds for a head, ours and pydicom's; None when our package is not there."""
    sys.path.insert(0, str(PACKAGE))
    try:
        part10 = importlib.import_module("lenticular.dicom.read.part10")
    except ImportError:
        return None
    data = Templates(folder).picture(Shape(9, 1, 1, 1, 1), 0, 0, 0)

    def ours() -> None:
        orjson.dumps(part10.parse(data).dataset)

    def pydicoms() -> None:
        dcmread(io.BytesIO(data), stop_before_pixels=True).to_json_dict()

    times: dict[Callable[[], None], list[float]] = {ours: [], pydicoms: []}
    for _ in range(repeats):
        for function, seconds in times.items():
            start = time.perf_counter()
            function()
            seconds.append(time.perf_counter() - start)
    our_time, their_time = (statistics.median(seconds) * 1e3 for seconds in times.values())
    return Row("head of a 250-element CT to JSON", "ms", our_time, their_time, GOAL)


if __name__ == "__main__":
    row = measure(Path(tempfile.gettempdir()) / "lenticular-bench-files", 300)
    print(row or "our package is not installed")
