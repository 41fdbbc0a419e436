"""Indexes for the tests, and instances to put into them whose files nobody needs."""

import dataclasses
import hashlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lenticular.dicom.model import Layout, Target
from lenticular.dicom.orthanc_id import orthanc_id
from lenticular.dicom.read import part10
from lenticular.index import Index
from lenticular.index.records import Level, NewInstance
from tests.helpers import samples
from tests.helpers.databases import DATABASES, empty_database
from tests.helpers.samples import Label


@pytest.fixture(params=DATABASES)
def url(request: pytest.FixtureRequest) -> str:
    """The URL of a database that is empty but for its tables."""
    return empty_database(request)


@pytest.fixture
def index(url: str) -> Iterator[Index]:
    """An index to fill."""
    opened = Index(url)
    yield opened
    opened.close()


def new(
    study: Label = "s",
    series: Label = 1,
    instance: Label = 1,
    version: int = 0,
    layout: Layout | None = None,
    **attributes: Any,
) -> NewInstance:
    """An instance whose file is thought to be stored; `version` stands for other bytes."""
    content = samples.encode(samples.dataset(study, series, instance, **attributes))
    parsed = part10.parse(content)
    sha256 = hashlib.sha256(content + bytes([version])).digest()
    key = f"{study}/{series}/{instance}/{sha256.hex()[:8]}"
    if layout is not None:
        parsed = dataclasses.replace(parsed, layout=layout)
    return NewInstance(parsed, key, 1000, sha256)


def target(
    study: Label = "s", series: Label | None = None, instance: Label | None = None
) -> Target:
    """The study, series or instance of these labels."""
    return Target(
        samples.study_uid(study),
        samples.series_uid(study, series) if series else None,
        samples.sop_uid(study, series, instance) if series and instance else None,
    )


def counts(index: Index, study: Label = "s") -> tuple[int, int, list[int]]:
    """Series and instances that the study says it has, and instances of each of its series."""
    resource = index.orthanc.resource(
        Level.STUDY, orthanc_id(f"P{study}", samples.study_uid(study))
    )
    assert resource is not None
    series = index.orthanc.children(resource, Level.SERIES)
    return resource.series_count, resource.instance_count, [one.instance_count for one in series]


def in_threads(*works: Callable[[], object]) -> list[Exception]:
    """Run works at once; what they raised."""
    failed: list[Exception] = []

    def run(work: Callable[[], object]) -> None:
        try:
            work()
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failed
