"""Query tags: keys of searches by configuration, found whenever they were configured."""

import pytest
from sqlalchemy import func, select

from lenticular.dicom.model import Level
from lenticular.index.records import Outcome
from lenticular.index.sql.schema import documents, instances, series, series_attributes, studies
from lenticular.transactions.search import parse_query
from tests.helpers.indexes import new, target
from tests.helpers.query_tags import (
    ALL,
    GANTRY,
    POSITION,
    answers,
    ask,
    count_values,
    found,
    index_all,
    item,
    opened,
    tagged,
    values,
)

MATCHES = [
    (Level.SERIES, {"DeviceUID": "1.2.1.1"}, 1),
    (Level.SERIES, {"DeviceUID": "1.2.1.1\\1.2.2.1"}, 2),
    (Level.SERIES, {"00181002": "1.2.9.9"}, 0),
    (Level.INSTANCE, {"DeviceUID": "1.2.1.1"}, 2),
    (Level.INSTANCE, {"ImageComments": "comment 2"}, 2),
    (Level.INSTANCE, {"ImageComments": "comm*"}, 4),
    (Level.INSTANCE, {"ImageComments": "*NT ?"}, 4),
    (Level.STUDY, {"VerifyingObserverSequence_VerifyingObserverName": "muller^1"}, 1),
    (Level.STUDY, {"VerifyingObserverSequence_VerifyingObserverName": "M*"}, 2),
    (Level.STUDY, {"VerifyingObserverSequence_VerifyingObserverName": "=山田^2"}, 1),
    (Level.STUDY, {"VerifyingObserverSequence_VerifyingObserverName": "müller*=山田^2"}, 1),
    (Level.STUDY, {"VerifyingObserverSequence_VerifyingObserverName": "山田*=*"}, 0),
    (Level.SERIES, {"VerifyingObserverSequence_VerifyingObserverName": "Müller^1"}, 1),
    (
        Level.STUDY,
        {"VerifyingObserverSequence_VerifyingObserverName": "2 mul", "fuzzymatching": "true"},
        1,
    ),
    (Level.INSTANCE, {"AcquisitionContextSequence_ConceptCodeSequence_CodeValue": "c1"}, 2),
    (Level.INSTANCE, {"AcquisitionContextSequence_ConceptCodeSequence_CodeValue": "ANY"}, 4),
    (
        Level.INSTANCE,
        {
            "AcquisitionContextSequence_ConceptCodeSequence_CodeValue": "any\\c2",
            "multiplevaluematching": "true",
        },
        2,
    ),
    (Level.SERIES, {"00191010": "1.50"}, 2),
    (Level.SERIES, {"00191010": "15e-1"}, 2),
    (Level.SERIES, {"00191010": "1"}, 0),
    (Level.SERIES, {"00191010": "1\\1.5"}, 2),
    (Level.SERIES, {"00191010": '""', "emptyvaluematching": "true"}, 1),
    (Level.INSTANCE, {"ImageComments": '""', "emptyvaluematching": "true"}, 1),
    (Level.INSTANCE, {"ImageComments": "Comment 1", "PatientID": "P1"}, 1),
    (Level.INSTANCE, {"ImageComments": "Comment 1", "DeviceUID": "1.2.2.1"}, 1),
    (Level.SERIES, {"DeviceUID": "*"}, 3),
]


@pytest.mark.parametrize("when", ["before", "after"])
def test_every_kind_of_matching_finds_what_was_stored_before_and_after(url, when):
    stored = [tagged(study, instance=n, block=0x10 + study) for study in (1, 2) for n in (1, 2)]
    if when == "before":
        with opened(url) as plain:
            plain.writer.add([*stored, new("plain")])
    with opened(url, *ALL) as index:
        index_all(index)
        if when == "after":
            index.writer.add([*stored, new("plain")])
        for level, keys, count in MATCHES:
            matches, adding = ask(index, level, **keys)
            assert (len(matches), adding) == (count, ()), keys


def test_the_same_is_kept_of_what_was_stored_before_and_after(url, tmp_path):
    stored = [tagged(study, series, n) for study in (1, 2) for series in (1, 2) for n in (1, 2)]
    with opened(url) as plain, opened(f"sqlite:///{tmp_path / 'other.sqlite'}", *ALL) as other:
        plain.writer.add(stored)
        other.migrate()
        other.writer.add(stored)
        with opened(url, *ALL) as index:
            index_all(index)
            assert [[row[:2] for row in each] for each in values(index)] == [
                [row[:2] for row in each] for each in values(other)
            ]
            for level in (Level.STUDY, Level.SERIES, Level.INSTANCE):
                query, _ = parse_query(level, None, [("includefield", "all")])
                assert index.searcher.search(query) == other.searcher.search(query)


def test_what_was_matched_or_included_is_answered_in_order(url):
    with opened(url, *ALL) as index:
        index.writer.add([tagged(1, block=0x42)])
        path = "VerifyingObserverSequence.VerifyingObserverName"
        (study,) = answers(index, Level.STUDY, **{path.replace(".", "_"): "m*"})
        assert study["0040A073"]["Value"][0]["0040A075"]["Value"] == [
            {"Alphabetic": "Müller^1", "Ideographic": "山田^1"}
        ]
        for keys in ({"00191010": "1.5"}, {"includefield": "all"}, {"includefield": "00191010"}):
            (series,) = answers(index, Level.SERIES, **keys)
            assert series["00190010"] == {"vr": "LO", "Value": ["ACME 1.0"]}
            assert series["00191010"] == {"vr": "DS", "Value": [1.5]}
            assert list(series) == sorted(series)
        (instance,) = answers(index, Level.INSTANCE, **{"00191010": "1.5"})
        assert instance["00191010"] == {"vr": "DS", "Value": [1.5]}
        (series,) = answers(index, Level.SERIES)
        assert "00191010" not in series


def test_a_sequence_is_answered_with_what_is_searched_for_alone(url):
    with opened(url, ("ContentSequence.TextValue", "study", "", "")) as index:
        content = item(TextValue="Finding", ConceptCodeSequence=[item(CodeValue="x")])
        index.writer.add([new("report", ContentSequence=[content])])
        (study,) = answers(index, Level.STUDY, ContentSequence_TextValue="finding")
        assert study["0040A730"]["Value"] == [{"0040A160": {"vr": "UT", "Value": ["Finding"]}}]


def test_a_study_and_a_series_have_what_their_first_instance_has(url):
    with opened(url, GANTRY) as index:
        index.writer.add([new("s", 1, 1, DeviceUID="1.2.3"), new("s", 1, 2, DeviceUID="1.2.4")])
        assert len(found(index, Level.SERIES, DeviceUID="1.2.3")) == 1
        assert found(index, Level.SERIES, DeviceUID="1.2.4") == []


def test_values_go_with_what_they_belong_to(url):
    with opened(url, *ALL) as index:
        index.writer.add(
            [tagged(study, series, n) for study in (1, 2) for series in (1, 2) for n in (1, 2)]
        )
        before = count_values(index)
        index.writer.remove(target(1, 1, 1))
        assert found(index, Level.INSTANCE, target(1, 1), ImageComments="Comment 1") == []
        index.writer.remove(target(1, 1))
        assert found(index, Level.SERIES, DeviceUID="1.2.1.1") == []
        assert len(found(index, Level.SERIES, DeviceUID="1.2.1.2")) == 1
        index.writer.remove(target(1))
        assert count_values(index) == [count // 2 for count in before]
        index.writer.remove(target(2))
        assert count_values(index) == [0, 0, 0]


def test_the_release_before_takes_the_values_along(url):
    """It knows nothing of them, and removes rows as it always did."""
    with opened(url, *ALL) as index:
        index.writer.add([tagged(1)])
        assert count_values(index) == [2, 2, 3]
        with index.database.transaction() as connection:
            for table in (documents, instances, series_attributes, series):
                connection.execute(table.delete())
            assert connection.scalar(select(func.count()).select_from(studies)) == 1
        assert count_values(index) == [2, 0, 0]


def test_a_replaced_instance_has_its_new_values(url):
    with opened(url, POSITION) as index:
        index.writer.add(
            [new("s", 1, 1, ImageComments="old"), new("s", 1, 2, ImageComments="other")]
        )
        replaced = index.writer.add([new("s", 1, 1, 1, ImageComments="new")], replace=True)
        assert replaced[0].outcome is Outcome.REPLACED
        assert found(index, Level.INSTANCE, ImageComments="old") == []
        assert found(index, Level.INSTANCE, ImageComments="new") == [target("s", 1, 1)]
        kept = index.writer.add([new("s", 1, 2, 1, ImageComments="refused")])
        assert kept[0].outcome is Outcome.REFUSED_DUPLICATE
        assert found(index, Level.INSTANCE, ImageComments="refused") == []


def test_dates_times_and_moments_match_by_range(url):
    tags = ("DateOfSecondaryCapture", "TimeOfSecondaryCapture", "FrameReferenceDateTime")
    with opened(url, *((tag, "instance", "", "") for tag in tags)) as index:
        moments = [("20200101", "080000", "20200101080000+0100"), ("20210615", "1230", "2021")]
        index.writer.add(
            [
                new("s", 1, n, **dict(zip(tags, moment, strict=True)))
                for n, moment in enumerate(moments, 1)
            ]
        )
        for key, count in {
            ("DateOfSecondaryCapture", "20200101"): 1,
            ("DateOfSecondaryCapture", "20200102-"): 1,
            ("DateOfSecondaryCapture", "-20211231"): 2,
            ("DateOfSecondaryCapture", "20200102-20210614"): 0,
            ("DateOfSecondaryCapture", "20200101,20210101-20220101"): 2,
            ("TimeOfSecondaryCapture", "08-0830"): 1,
            ("TimeOfSecondaryCapture", "12"): 1,
            ("FrameReferenceDateTime", "2020"): 1,
            ("FrameReferenceDateTime", "20200101070000+0000"): 1,
            ("FrameReferenceDateTime", "2020-2021"): 2,
        }.items():
            assert len(found(index, Level.INSTANCE, **dict([key]))) == count, key


def test_each_level_answers_with_what_it_has_itself(url):
    tags = (
        ("GantryID", "study", "", ""),
        ("ContentSequence.TextValue", "study", "", ""),
        ("ContentSequence.CompletionFlag", "series", "CS", ""),
    )
    with opened(url, *tags) as index:
        for series in (1, 2):
            content = item(TextValue=f"T{series}", CompletionFlag="COMPLETE")
            index.writer.add(
                [new("s", series, 1, GantryID=f"G{series}", ContentSequence=[content])]
            )
        (study,) = answers(index, Level.STUDY, GantryID="g1")
        assert study["00181008"]["Value"] == ["G1"]
        asked = answers(index, Level.SERIES, includefield="GantryID,ContentSequence")
        assert [each["00181008"]["Value"] for each in asked] == [["G1"], ["G2"]]
        assert [list(each["0040A730"]["Value"][0]) for each in asked] == [["0040A491"]] * 2
        (instance,) = answers(
            index, Level.INSTANCE, ContentSequence_TextValue="T1", SeriesNumber="2"
        )
        assert instance["0040A730"]["Value"][0]["0040A160"]["Value"] == ["T2"]


def test_a_long_list_of_uids_is_answered(url):
    with opened(url, GANTRY) as index:
        index.writer.add([new(1, DeviceUID="1.2.3"), new(2, DeviceUID="1.2.4")])
        wanted = "\\".join(["1.2.3", *(f"1.3.{n}" for n in range(3000))])
        assert len(found(index, Level.SERIES, DeviceUID=wanted)) == 1
