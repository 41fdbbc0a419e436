"""Each key of the search tables of docs/conformance.md matches, and is returned, as it says."""

import pytest
from pydicom.datadict import dictionary_VM, keyword_for_tag
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from lenticular.dicom.model import Level
from lenticular.dicom.search_attributes import SEARCHED
from tests.helpers import samples, wire
from tests.helpers.conformance_tables import Row, codes, rows

HEADINGS = {Level.STUDY: "Studies", Level.SERIES: "Series", Level.INSTANCE: "Instances"}
LEVELS = list(HEADINGS)
TABLES = {level: rows(heading, "Attribute") for level, heading in HEADINGS.items()}
KEYS = [
    pytest.param(level, row, id=row["Attribute"])
    for level in LEVELS
    for row in TABLES[level]
    if row["Matching"]
]
FULL, BARE = "full of attributes", "bare of them"
NOBODY = "2.25.99"
MR = "1.2.840.10008.5.1.4.1.1.4"
OTHER = {"DA": "19990101", "TM": "235959", "DT": "19990101", "IS": "99", "US": "99", "UI": NOBODY}
RANGES = {
    "DA": ("20240101-20241231", "20240101-", "-20241231", "19990101-19991231"),
    "TM": ("100000-110000", "10-", "-11", "12-13"),
    "DT": ("20240101-20241231", "20240101-", "-20241231", "19990101-19991231"),
}
# Everything has these, so nothing is without them.
NEVER_EMPTY = (
    *("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID"),
    *("SOPClassesInStudy", "NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances"),
    *("NumberOfSeriesRelatedInstances", "AvailableTransferSyntaxUID"),
)
VALUES = {
    "StudyInstanceUID": samples.study_uid(FULL),
    "SeriesInstanceUID": samples.series_uid(FULL),
    "SOPInstanceUID": samples.sop_uid(FULL),
    "SOPClassUID": samples.CT_IMAGE_STORAGE,
    "SOPClassesInStudy": samples.CT_IMAGE_STORAGE,
    "Modality": "CT",
    "ModalitiesInStudy": "CT",
    "NumberOfStudyRelatedSeries": "2",
    "NumberOfStudyRelatedInstances": "2",
    "NumberOfSeriesRelatedInstances": "1",
    "AvailableTransferSyntaxUID": "1.2.840.10008.1.2.1",
    "FrameOfReferenceUID": "2.25.7",
}
SECOND = {"ModalitiesInStudy": "MR", "SOPClassesInStudy": MR}
BY_VR = {
    "DA": "20240229", "TM": "101112.5", "DT": "20240229101112.5+0100", "IS": "3", "US": "16",
    "PN": "Doe^Jane", "AS": "045Y",
}  # fmt: skip


def leaf(row: Row) -> str:
    """The keyword of the attribute itself, of one in a sequence too."""
    return row["Attribute"].rpartition(".")[2]


def value_of(row: Row) -> str:
    """What the full instance has in this attribute."""
    keyword = leaf(row)
    return VALUES.get(keyword) or BY_VR.get(row["VR"]) or keyword[:16].upper()


def second_of(row: Row) -> str:
    """Another value that it has in it, where it takes several."""
    return SECOND.get(leaf(row), "2ND^NAME" if row["VR"] == "PN" else "2ND")


def full() -> Dataset:
    """An instance with every attribute that is matched or returned."""
    made = Dataset()
    made.SpecificCharacterSet, made.TimezoneOffsetFromUTC = "ISO_IR 192", "+0100"
    request = Dataset()
    for level in LEVELS:
        for row in TABLES[level]:
            keyword, *inner = row["Attribute"].split(".")
            if row["Matching"] and keyword not in NEVER_EMPTY and keyword != "ModalitiesInStudy":
                several = not inner and dictionary_VM(keyword) != "1"
                value = [value_of(row), second_of(row)] if several else value_of(row)
                is_number = row["VR"] == "US"
                setattr(request if inner else made, leaf(row), int(value) if is_number else value)
    second = Dataset()
    second.ScheduledProcedureStepID = second.RequestedProcedureID = "2ND"
    made.RequestAttributesSequence = Sequence([request, second])
    return made


def identified(made: Dataset, label: str, series: int = 1, sop_class: str = MR) -> bytes:
    made.SOPClassUID, made.SOPInstanceUID = sop_class, samples.sop_uid(label, series)
    made.StudyInstanceUID = samples.study_uid(label)
    made.SeriesInstanceUID = samples.series_uid(label, series)
    return samples.encode(made)


@pytest.fixture(scope="module")
def client(module_client):
    """A study in which every attribute has a value, and one in which none has."""
    first, second = full(), full()
    second.Modality = "MR"
    wire.must_store(
        module_client,
        identified(first, FULL, sop_class=samples.CT_IMAGE_STORAGE),
        identified(second, FULL, series=2),
        identified(Dataset(), BARE),
    )
    return module_client


def found(client, level: Level, **parameters: str) -> set[str]:
    """Which of the two studies a search at this level finds."""
    matches = wire.search(client, f"/{HEADINGS[level].lower()}", **parameters)
    labels = {samples.study_uid(label): label for label in (FULL, BARE)}
    return {labels[uid] for uid in wire.uids(matches)}


@pytest.mark.parametrize("level", LEVELS, ids=HEADINGS.get)
def test_the_tables_are_those_of_the_code(level):
    stated = {(row["Attribute"], row["Tag"], row["VR"]) for row in TABLES[level] if row["Matching"]}
    known = {
        (
            ".".join(map(keyword_for_tag, attribute.path)),
            " ".join(f"({tag[:4]},{tag[4:]})" for tag in attribute.path),
            attribute.vr,
        )
        for attribute in SEARCHED[level]
    }

    assert stated == known


@pytest.mark.parametrize(("level", "row"), KEYS)
def test_a_key_matches_as_stated(client, level, row):
    keyword, value, other = row["Attribute"], value_of(row), OTHER.get(row["VR"], "ZZZ")
    kinds = set(row["Matching"].split(", "))
    assert kinds <= {each["Matching"] for each in rows("3.2", "Matching")}
    assert kinds & {"single", "UID list"}

    def finds(key: str, **switches: str) -> bool:
        return FULL in found(client, level, **{keyword: key}, **switches)

    assert finds(value)
    assert not finds(other)
    assert found(client, level, **{keyword: ""}) == {FULL, BARE}
    assert found(client, level, **{keyword: "*"}) == {FULL, BARE}
    listed = "\\".join([other, value])
    assert finds(listed)
    without = found(client, level, **{keyword: '""'}, emptyvaluematching="true")
    assert without == (set() if keyword in NEVER_EMPTY else {BARE})
    for kind, check in CHECKS.items():
        check(finds, row, kind in kinds)
    assert refused_or_not_found(client, level, {keyword: f"{value[:1]}*zz"})


def check_wildcard(finds, row, is_stated):
    value = value_of(row)
    if is_stated:
        assert finds(value[:2] + "*")
        assert finds("?" + value[1:])
        assert not finds("zz*")


def check_range(finds, row, is_stated):
    if is_stated:
        *inside, outside = RANGES[row["VR"]]
        assert all(map(finds, inside))
        assert not finds(outside)
    else:
        assert row["VR"] not in RANGES


def check_fuzzy(finds, row, is_stated):
    if is_stated:
        assert finds("jan do", fuzzymatching="true")
        assert not finds("jan do")
    elif row["VR"] in ("LO", "SH"):
        assert not finds(value_of(row)[:2], fuzzymatching="true")


def check_multiple(finds, row, is_stated):
    if is_stated:
        both, one = "\\".join([value_of(row), second_of(row)]), value_of(row) + "\\2.25.99"
        assert finds(both, multiplevaluematching="true")
        assert not finds(one, multiplevaluematching="true")
        assert finds(one)


def check_uid_list(finds, row, is_stated):
    assert is_stated == (row["VR"] == "UI")
    if is_stated:
        assert finds(f"{NOBODY},{value_of(row)}")


CHECKS = {
    "wildcard": check_wildcard,
    "range": check_range,
    "fuzzy": check_fuzzy,
    "multiple": check_multiple,
    "UID list": check_uid_list,
}


def refused_or_not_found(client, level: Level, parameters: dict[str, str]) -> bool:
    """What is no way to match is refused, and never ignored."""
    answer = client.get(f"{wire.DICOMWEB}/{HEADINGS[level].lower()}", params=parameters)
    assert "warning" not in answer.headers
    return answer.status_code == 400 or answer.json() == []


@pytest.mark.parametrize(("level", "row"), KEYS)
def test_a_key_matches_at_the_levels_below_and_is_ignored_above(client, level, row):
    name = row["Tag"].replace("(", "").replace(")", "").replace(" ", ".")
    for other in LEVELS:
        for key in (row["Attribute"], name):
            if LEVELS.index(other) >= LEVELS.index(level):
                assert FULL in found(client, other, **{key: value_of(row)})
                assert FULL not in found(client, other, **{key: OTHER.get(row["VR"], "ZZZ")})
            elif key != "Modality" and name != "0008,0060":
                url = f"{wire.DICOMWEB}/{HEADINGS[other].lower()}"
                answer = client.get(url, params={key: value_of(row)})
                assert key in answer.headers["warning"]


def test_modality_is_that_of_the_study(client):
    assert found(client, Level.STUDY, Modality="MR") == {FULL}


PATHS = {
    Level.STUDY: "/studies?StudyInstanceUID={study}",
    Level.SERIES: "/studies/{study}/series?SeriesInstanceUID={series}",
    Level.INSTANCE: "/studies/{study}/series/{series}/instances?SOPInstanceUID={instance}",
}


def returned(client, level: Level, label: str, more: str = "") -> set[str]:
    path = PATHS[level].format(
        study=samples.study_uid(label),
        series=samples.series_uid(label),
        instance=samples.sop_uid(label),
    )
    (match,) = client.get(wire.DICOMWEB + path + more).json()
    return set(match) - {"0020000D", "0020000E"} if level is not Level.STUDY else set(match)


@pytest.mark.parametrize("level", LEVELS, ids=HEADINGS.get)
def test_attributes_are_returned_as_stated(client, level):
    stated: dict[str, set[str]] = {"always": set(), "if present": set(), "on request": set()}
    for row in TABLES[level]:
        tag = row["Tag"][1:10].replace(",", "")
        if level is Level.STUDY or tag not in ("0020000D", "0020000E"):
            stated[row["Returned"]].add(tag)

    assert returned(client, level, BARE) == stated["always"]
    assert returned(client, level, FULL) == stated["always"] | stated["if present"]
    for tag in stated["on request"]:
        assert tag in returned(client, level, FULL, f"&includefield={tag}")


PARAMETERS = {
    "includefield": "all", "limit": "1", "offset": "0", "fuzzymatching": "true",
    "emptyvaluematching": "true", "multiplevaluematching": "true",
    "TimezoneOffsetFromUTC": "+0100", "accept": "application/dicom+json",
}  # fmt: skip


def test_every_parameter_is_understood_and_others_are_warned_about(client):
    stated = {name for row in rows("3.2", "Parameter") for name in codes(row["Parameter"])}
    assert stated == PARAMETERS.keys()
    for name, value in PARAMETERS.items():
        answer = client.get(f"{wire.DICOMWEB}/studies", params={name: value})
        assert answer.status_code == 200
        # A page is said to leave results behind it.
        assert ("warning" in answer.headers) == (name == "limit")
        if name not in ("accept", "includefield"):
            refused = client.get(f"{wire.DICOMWEB}/studies", params={name: "nonsense"})
            wire.assert_error(refused, 400)
    answer = client.get(f"{wire.DICOMWEB}/studies", params={"includefields": "all"})
    assert "includefields" in answer.headers["warning"]
