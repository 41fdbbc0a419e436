"""Attributes of patients, studies and series are those of the oldest stored instance."""

import random

import pytest
from sqlalchemy import select

from lenticular.index import Index
from lenticular.index.records import Level
from lenticular.index.sql.schema import (
    TAG_VALUES,
    patients,
    series,
    series_attributes,
    studies,
    study_attributes,
)
from tests.helpers.indexes import new, target

OF_TIME = {"row_id", "created", "updated", "settled"}
TAGS = [("DeviceUID", "series", "", ""), ("PatientComments", "study", "", "")]
WORDS = ("", "RED", "GREEN", "BLUE")


def content(index: Index) -> dict[str, list[str]]:
    """What the levels above the instances have, apart from row ids and times."""
    of_study = studies.join(patients).join(study_attributes)
    of_series = series.join(studies).join(series_attributes)
    uids = (studies.c.study_instance_uid, series.c.series_instance_uid)
    study_tags, series_tags = TAG_VALUES[Level.STUDY], TAG_VALUES[Level.SERIES]
    statements = {
        "patients": select(patients),
        "studies": select(studies, study_attributes, patients.c.patient_id).select_from(of_study),
        "series": select(series, series_attributes, uids[0]).select_from(of_series),
        "study tags": select(study_tags, uids[0]).select_from(study_tags.join(studies)),
        "series tags": select(series_tags, *uids).select_from(
            series_tags.join(series).join(studies)
        ),
    }
    with index.database.connect() as connection:
        return {
            name: sorted(str(comparable(row)) for row in connection.execute(statement).mappings())
            for name, statement in statements.items()
        }


def comparable(row) -> dict[str, object]:
    found = {key: value for key, value in row.items() if not any(each in key for each in OF_TIME)}
    for name in ("modalities_in_study", "sop_classes_in_study"):
        if found.get(name):
            found[name] = sorted(found[name].split("\\"))  # in no order
    return found


def one(rng: random.Random):
    study, number = rng.choice("stu"), rng.choice((1, 2))
    names = ("PatientName", "PatientComments", "StudyDescription", "StudyID", "ProtocolName")
    words = {name: rng.choice(WORDS) for name in names}
    patient = "B" if study == "u" else "A"
    words["Modality"] = rng.choice(("CT", "MR"))
    words["DeviceUID"] = rng.choice(("1.2", "1.3"))
    instance, version = rng.choice((1, 2, 3)), rng.randrange(3)
    return new(study, number, instance, version, PatientID=patient, **words)


def history(index: Index, rng: random.Random, steps: int) -> list:
    """Stores, deletes and replaces; the instances that are left, by age."""
    left: dict = {}
    for _ in range(steps):
        if rng.random() < 0.35:
            study, number = rng.choice("stu"), rng.choice((None, 1, 2))
            instance = rng.choice((1, 2, 3)) if number else None
            gone = target(study, number, instance)
            index.writer.remove(gone)
            left = {key: each for key, each in left.items() if key[: len(uids(gone))] != uids(gone)}
            continue
        batch, replace = [one(rng) for _ in range(rng.randrange(1, 4))], rng.random() < 0.5
        for each, added in zip(batch, index.writer.add(batch, replace=replace), strict=True):
            parsed = each.parsed
            key = (parsed.study_instance_uid, parsed.series_instance_uid, parsed.sop_instance_uid)
            if added.outcome == "replaced":
                del left[key]
            if added.outcome in ("stored", "replaced"):
                left[key] = each
    return list(left.values())


def uids(gone):
    names = (gone.study_instance_uid, gone.series_instance_uid, gone.sop_instance_uid)
    return tuple(name for name in names if name)


@pytest.mark.parametrize("seed", range(12))
def test_after_any_history_a_new_index_of_what_is_left_is_the_same(url, tmp_path, seed):
    rng = random.Random(seed)
    index = Index(url, query_tags=TAGS)
    left = history(index, rng, 25)
    again = Index(f"sqlite:///{tmp_path / 'again.sqlite'}", query_tags=TAGS)
    again.migrate()

    for each in left:
        again.writer.add([each])

    assert content(index) == content(again)
    index.close()
    again.close()
