"""An index that reindex makes equals the one that was lost, whatever happened before.

Random histories of stores, deletes and replacements of instances that disagree about everything
but their UIDs and Patient ID. Times, numbers and the order within lists may differ.
"""

import os
from collections.abc import Iterator
from contextlib import closing, suppress
from random import Random
from typing import Any

import pytest

from lenticular.dicom.model import Target
from lenticular.errors import NotFound
from lenticular.index import Index
from lenticular.index.sql.schema import instances
from lenticular.index.write import rows
from lenticular.services import Services, open_storage
from lenticular.settings import Settings
from lenticular.storage.spool import Spool
from lenticular.transactions.delete import delete
from lenticular.transactions.store.store import store
from lenticular.transactions.upkeep.sweep_and_reindex import reindex
from tests.helpers import samples
from tests.helpers.databases import empty_tables
from tests.helpers.model.invariants import canonical, rows_of

STEPS = 25
QUERY_TAGS = (
    ("InstitutionAddress", "study", "", ""),
    ("DeviceUID", "series", "", ""),
    ("ImageComments", "instance", "", ""),
)
SOP_CLASSES = ("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4")
LISTS = ("modalities_in_study", "sop_classes_in_study")


@pytest.fixture
def archives(tmp_path, index_url) -> Iterator[dict[bool, Services]]:
    """An empty archive with query tags that keeps instances, and the same that replaces them."""
    storage = open_storage((tmp_path / "data").as_uri())
    with closing(Index(index_url, 0, QUERY_TAGS)) as index, closing(storage):
        index.migrate()
        index.query_tag_registry.register()
        yield {
            replace: Services(Settings(data=tmp_path / "data", replace=replace), storage, index)
            for replace in (False, True)
        }


def any_file(random: Random) -> bytes:
    """A file of one of 12 instances in three studies of two patients."""
    study, series, instance = (random.randrange(count) for count in (3, 2, 2))
    version = random.randrange(1000)
    attributes: dict[str, Any] = {
        "PatientID": f"P{study // 2}",
        "PatientName": f"Name^{version}",
        "PatientSex": random.choice("MF"),
        "StudyDescription": f"Study {version}",
        "StudyDate": f"2024{random.randint(10, 12)}01",
        "InstitutionAddress": f"Street {version}",
        "Modality": random.choice(["CT", "MR"]),
        "SeriesNumber": version,
        "SeriesDescription": f"Series {version}",
        "DeviceUID": f"1.2.{version}",
        "ImageComments": f"Comment {version}",
        "SOPClassUID": random.choice(SOP_CLASSES),
    }
    return samples.encode(samples.dataset(study, series, instance, **attributes))


def any_target(random: Random) -> Target:
    """One of the instances, or its series or study."""
    study, series, instance = (random.randrange(count) for count in (3, 2, 2))
    uids = samples.study_uid(study), samples.series_uid(study, series)
    return Target(*(*uids, samples.sop_uid(study, series, instance))[: random.choice([1, 2, 3, 3])])


class History:
    """The history of an archive; its files get times in the order in which they came."""

    def __init__(self, services: Services, seed: int) -> None:
        self._services = services
        self._random = Random(seed)
        self._times: dict[str, float] = {}

    def step(self) -> None:
        """Store some files, or delete something."""
        if self._random.random() < 0.7:
            self._store([any_file(self._random) for _ in range(self._random.randint(1, 3))])
        else:
            with suppress(NotFound):
                delete(self._services, any_target(self._random))

    def _store(self, contents: list[bytes]) -> None:
        spools = [Spool() for _ in contents]
        for spool, content in zip(spools, contents, strict=True):
            spool.write(content)
        store(self._services, spools)
        for row in sorted(rows_of(self._services.index, instances), key=lambda row: row["row_id"]):
            key = row["storage_key"]
            if key not in self._times:
                self._times[key] = 1e9 + len(self._times)
                path = self._services.settings.data / key
                os.utime(path, (self._times[key], self._times[key]))


def table_by_table(index: Index) -> dict[str, list[dict[str, Any]]]:
    """The tables without times and numbers, and with their lists in order."""
    tables = canonical(index)
    for row in tables["studies"]:
        row |= {name: sorted(rows.elements_of(row[name])) for name in LISTS}
    for of_level in ("study", "series"):
        tables[f"{of_level}_attributes"].sort(key=lambda row: row[f"{of_level}_row_id"])
    return {name: sorted(found, key=_orthanc_id_first) for name, found in tables.items()}


def _orthanc_id_first(row: dict[str, Any]) -> str:
    return repr((row.get("orthanc_id"), row))


@pytest.mark.parametrize("replace", [False, True], ids=["keep", "replace"])
@pytest.mark.parametrize("seed", range(5))
def test_a_rebuilt_index_equals_the_lost_one_table_by_table(archives, replace, seed):
    services = archives[replace]
    empty_tables(services.index)
    services.index.query_tag_registry.register()
    history = History(services, seed)
    for _ in range(STEPS):
        history.step()
    lost = table_by_table(services.index)

    empty_tables(services.index)
    services.index.query_tag_registry.register()
    done = reindex(services)

    assert (done.filed, done.unreadable, done.complete) == (len(lost["instances"]), 0, True)
    rebuilt = table_by_table(services.index)
    for name, expected in lost.items():
        assert rebuilt[name] == expected, name
    assert all(lost[f"{name}_tag_values"] for name in ("studies", "series", "instances"))
