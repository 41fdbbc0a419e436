"""Browsing an index by Orthanc's identifiers, and its change feed."""

from lenticular.dicom.model import Level
from lenticular.dicom.orthanc_id import orthanc_id
from tests.helpers.indexes import new, target


def test_changes_are_told_in_order(index):
    (added,) = index.writer.add([new()])
    index.writer.add([new(), new(instance=2)])
    index.writer.remove(target())

    changes = index.changes.page(0, 100)

    numbers = [change.sequence for change in changes]
    assert numbers == sorted(set(numbers))
    told = [change.kind for change in changes]
    assert told[:5] == ["NewInstance", "NewSeries", "NewStudy", "NewPatient", "NewInstance"]
    assert told[5:] == ["Deleted"] * 5
    assert changes[1].orthanc_id == added.orthanc_ids[Level.SERIES]
    assert [change.level for change in changes[5:]] == [
        *(Level.INSTANCE, Level.INSTANCE, Level.SERIES, Level.STUDY, Level.PATIENT),
    ]
    assert index.changes.page(numbers[3], 2) == changes[4:6]
    assert index.changes.last_sequence() == numbers[-1]
    assert index.changes.page(numbers[-1], 10) == []


def test_resources_are_browsed_by_identifier(index):
    added = index.writer.add([new("s", 1, 1), new("s", 1, 2), new("s", 2, 1), new("t")])
    patient, study, series, instance = added[0].orthanc_ids.values()

    assert index.orthanc.resource(Level.PATIENT, patient).child_ids == (study,)
    found = index.orthanc.resource(Level.STUDY, study)
    assert found.parent_id == patient
    assert found.child_ids == (series, added[2].orthanc_ids[Level.SERIES])
    assert (found.series_count, found.instance_count, found.size) == (2, 3, 3000)
    assert found.attributes["00081030"]["Value"] == ["Head plain"]
    assert "00100020" not in found.attributes
    assert found.patient_attributes["00100020"]["Value"] == ["Ps"]
    assert not found.is_stable
    assert index.orthanc.resource(Level.SERIES, series).parent_id == study
    bottom = index.orthanc.resource(Level.INSTANCE, instance)
    assert (bottom.parent_id, bottom.index_in_series, bottom.size) == (series, 1, 1000)
    assert bottom.instance == index.retrieval.find(target("s", 1, 1))[0]
    assert index.orthanc.resource(Level.SERIES, study) is None
    assert index.orthanc.resource(Level.STUDY, "no identifier") is None


def test_resources_come_in_the_order_of_arrival(index):
    added = index.writer.add([new(n) for n in range(5)])
    ids = [each.orthanc_ids[Level.STUDY] for each in added]

    assert index.orthanc.resource_ids(Level.STUDY) == ids
    assert index.orthanc.resource_ids(Level.STUDY, 1, 2) == ids[1:3]
    assert [each.orthanc_id for each in index.orthanc.resources(Level.STUDY, 3, 9)] == ids[3:]
    some = [ids[4], ids[0], orthanc_id("unknown")]
    assert [each.orthanc_id for each in index.orthanc.resources_of(Level.STUDY, some)] == some[:2]


def test_everything_below_a_resource_is_found(index):
    index.writer.add([new("s", series, n) for series in (1, 2) for n in (1, 2)])
    index.writer.add([new("t", PatientID="Ps")])
    patient = index.orthanc.resource(Level.PATIENT, orthanc_id("Ps"))

    below = [len(index.orthanc.children(patient, level)) for level in list(Level)[1:]]

    assert below == [2, 3, 5]


def test_identifiers_lead_to_targets(index):
    ids = index.writer.add([new()])[0].orthanc_ids

    assert index.orthanc.target_of(Level.STUDY, ids[Level.STUDY]) == target()
    assert index.orthanc.target_of(Level.SERIES, ids[Level.SERIES]) == target("s", 1)
    assert index.orthanc.target_of(Level.INSTANCE, ids[Level.INSTANCE]) == target("s", 1, 1)
    assert index.orthanc.target_of(Level.PATIENT, ids[Level.PATIENT]) is None
    assert index.orthanc.target_of(Level.STUDY, ids[Level.SERIES]) is None
