"""Instances that are replaced by other bytes, alone and many at once."""

import orjson

from lenticular.index.records import Level, Outcome
from tests.helpers.indexes import counts, new, target


def test_other_bytes_replace_the_known_ones_when_that_is_the_policy(index):
    first, other = new(PatientName="Before"), new(instance=2)
    second = new(version=2, PatientName="After")
    index.writer.add([first, other])

    (added,) = index.writer.add([second], replace=True)

    assert (added.outcome, added.obsolete_key) == (Outcome.REPLACED, first.key)
    assert {found.key for found in index.retrieval.find(target())} == {second.key, other.key}
    assert counts(index) == (1, 2, [2])
    (document,) = index.retrieval.documents(target("s", 1, 1))
    assert orjson.loads(document)["00100010"]["Value"] == [{"Alphabetic": "After"}]


def test_several_instances_of_known_series_are_replaced_at_once(index):
    stored = [new("s", series, n) for series in (1, 2) for n in (1, 2, 3)] + [new("t")]
    index.writer.add(stored)
    newer = [new("s", 1, 1, 1), new("s", 1, 2, 1), new("s", 2, 3, 1), new("t", version=1)]

    added = index.writer.add([*newer, new("s", 2, 4)], replace=True)

    assert [each.outcome for each in added] == [Outcome.REPLACED] * 4 + [Outcome.STORED]
    replaced = [stored[0].key, stored[1].key, stored[5].key, stored[6].key, None]
    assert [each.obsolete_key for each in added] == replaced
    assert counts(index) == (2, 7, [3, 4])
    found = {each.key for study in "st" for each in index.retrieval.find(target(study))}
    kept = {each.key for each in (*stored, *newer, new("s", 2, 4))} - set(replaced)
    assert found == kept


def test_a_whole_study_is_replaced_at_once_even_twice_in_a_batch(index):
    stored = [new("s", 1, n) for n in (1, 2)]
    index.writer.add(stored)
    newer = [new("s", 1, n, version) for version in (1, 2) for n in (1, 2)]

    added = index.writer.add([*newer, newer[3]], replace=True)

    assert [each.outcome for each in added] == [Outcome.REPLACED] * 4 + [Outcome.ALREADY_STORED]
    obsolete = [each.key for each in (*stored, *newer[:2])]
    assert [each.obsolete_key for each in added] == [*obsolete, None]
    assert {each.key for each in index.retrieval.find(target())} == {each.key for each in newer[2:]}
    assert counts(index) == (1, 2, [2])


def test_a_study_that_is_replaced_as_a_whole_tells_its_new_attributes(index):
    index.writer.add([new(PatientName="Before")])

    index.writer.add([new(version=2, PatientName="After")], replace=True)

    study = index.orthanc.resources(Level.STUDY, 0, 10)[0]
    assert study.patient_attributes["00100010"]["Value"] == [{"Alphabetic": "After"}]
