"""QIDO-RS by dates, times and moments (PS3.18 8.3.4.1, PS3.4 C.2.2.2.5) through the application."""

import pytest

from tests.helpers import samples, wire
from tests.helpers.wire import DICOMWEB, assert_error, must_store, search, uids


@pytest.fixture(scope="module")
def client(module_client):
    """One for all of this file; each test looks at studies of its own."""
    return module_client


def found(client, labels, **keys):
    """Those of these labels whose studies are found."""
    studies = uids(search(client, **keys))
    return sorted(label for label in labels if samples.study_uid(label) in studies)


DATES = {
    "date a": ("20231231", "235959.9"),
    "date b": ("20240101", "1030"),
    "date c": ("20240601", "103015.25"),
    "date d": ("", ""),
}


@pytest.fixture(scope="module")
def dates(client):
    """Studies of three days, and one of none."""
    must_store(client, *(samples.ct(k, StudyDate=d, StudyTime=t) for k, (d, t) in DATES.items()))
    return client


@pytest.mark.parametrize(
    ("keys", "labels"),
    [
        ({"StudyDate": "20240101"}, "b"),
        ({"StudyDate": "2024.01.01"}, "b"),
        ({"StudyDate": "20240101-"}, "bc"),
        ({"StudyDate": "-20240101"}, "ab"),
        ({"StudyDate": "20240101-20241231"}, "bc"),
        ({"StudyDate": "20240101,20231231"}, "ab"),
        ({"StudyDate": "20250101-20240101"}, ""),
        ({"StudyTime": "10"}, "bc"),
        ({"StudyTime": "103015.25"}, "c"),
        ({"StudyTime": "1031-"}, "a"),
        ({"StudyTime": "10:30-10:30"}, "bc"),
        ({"StudyTime": "-103000"}, "b"),
        ({"StudyDate": "20240101-", "StudyTime": "103001-"}, "c"),
        # Two ranges of one form are one range of moments (PS3.4 C.2.2.2.5), other pairs are two.
        ({"StudyDate": "20231231-20240601", "StudyTime": "235900-103000"}, "ab"),
        ({"StudyDate": "20231231-20240101", "StudyTime": "235959.95-11"}, "b"),
        ({"StudyDate": "-20240601", "StudyTime": "-1030"}, "abc"),
        ({"StudyDate": "-20240601", "StudyTime": "1030-"}, "abc"),
        ({"StudyDate": "20231231-20240601", "StudyTime": "10"}, "bc"),
        ({"StudyDate": "20240101,20240601", "StudyTime": "10-103010"}, "b"),
        ({"StudyDate": '""', "emptyvaluematching": "true"}, "d"),
    ],
)
def test_dates_and_times_match_by_range_and_precision(dates, keys, labels):
    assert found(dates, DATES, **keys) == [f"date {label}" for label in labels]


ZONES = {
    "zone utc": ("20240301", "003000", "+0000"),
    "zone east": ("20240301", "060000", "+0530"),
    "zone west": ("20240229", "183000", "-0500"),
    "zone none": ("20240301", "003000", None),
    "zone odd": ("20240301", "003000", "nowhere"),
    "zone timeless": ("20240301", None, "+1400"),
}


def zoned(labels):
    """The labels of studies in these zones."""
    return sorted(f"zone {label}" for label in labels.split())


@pytest.fixture(scope="module")
def zones(client):
    """Studies around one midnight, some of which say where on earth."""
    tags = ("StudyDate", "StudyTime", "TimezoneOffsetFromUTC")
    files = (samples.ct(k, **dict(zip(tags, v, strict=True))) for k, v in ZONES.items())
    must_store(client, *files)
    return client


@pytest.mark.parametrize(
    ("keys", "labels"),
    [
        ({}, "utc east none odd timeless"),
        ({"TimezoneOffsetFromUTC": "+0000"}, "utc east none odd timeless"),
        ({"TimezoneOffsetFromUTC": "-0100"}, "none odd timeless"),
        ({"00080201": "+0100"}, "utc east west none odd timeless"),
        ({"StudyTime": "003000-003000"}, "utc none odd"),
        ({"StudyTime": "003000-003000", "TimezoneOffsetFromUTC": "+0000"}, "utc east none odd"),
    ],
)
def test_dates_and_times_are_those_of_the_zone_that_is_named(zones, keys, labels):
    assert found(zones, ZONES, StudyDate="20240301", **keys) == zoned(labels)


def test_times_of_a_day_go_round_midnight_in_another_zone(zones):
    keys = {"StudyTime": "2130-2330", "TimezoneOffsetFromUTC": "-0300"}
    assert found(zones, ZONES, **keys) == zoned("east utc")
    keys = {"StudyTime": "2230-2359", "TimezoneOffsetFromUTC": "-0100"}
    assert found(zones, ZONES, **keys) == zoned("east utc west")


def test_a_moment_is_one_in_the_zone_that_is_named(zones):
    keys = {"StudyDate": "20240229-20240301", "StudyTime": "233000-003000"}

    assert found(zones, ZONES, **keys) == zoned("none odd utc")
    keys |= {"TimezoneOffsetFromUTC": "+0000"}
    assert found(zones, ZONES, **keys) == zoned("east none odd utc west")


def test_a_zone_that_there_is_not_is_refused(client):
    for zone in ("Berlin", "+1500", "0160", "+01:00"):
        assert_error(client.get(f"{DICOMWEB}/studies", params={"TimezoneOffsetFromUTC": zone}), 400)


def test_moments_match_whatever_their_offset_from_utc(client):
    written = {"1": "20240601120000+0200", "2": "20240601120000-0500", "3": "20240601"}
    must_store(
        client, *(samples.ct("moments", 1, k, AcquisitionDateTime=v) for k, v in written.items())
    )

    def numbers(key, **more):
        matches = search(client, "/instances", AcquisitionDateTime=key, **more)
        return [wire.value(match, "00200013") for match in matches]

    assert numbers("20240601100000+0000") == [1]
    assert numbers("20240601120000 0200") == [1]  # a plus that was not escaped
    assert numbers("20240601110000-") == [2]
    assert numbers("20240601120000-0500-20240602") == [2]
    assert numbers("20240601120000", TimezoneOffsetFromUTC="-0500") == [2]
    assert numbers("-20240601100000") == [1, 3]
    assert numbers("2024") == [1, 2, 3]


@pytest.mark.parametrize(
    ("values", "status"), [(20, 200), (21, 400)], ids=["as many as there may be", "one more"]
)
def test_a_list_of_dates_in_a_zone_is_answered_or_refused(client, values, status):
    days = ",".join(f"202401{day:02}" for day in range(1, values + 1))
    keys = {"StudyDate": days, "TimezoneOffsetFromUTC": "+0100"}

    assert client.get(f"{DICOMWEB}/instances", params=keys).status_code == status


def test_no_date_or_one_in_a_zone_is_either(dates):
    """The time of c is compared as it is written, since its zone is not told."""
    keys = [("StudyDate", '""'), ("StudyDate", "20240601"), ("emptyvaluematching", "true")]
    keys.append(("TimezoneOffsetFromUTC", "+0000"))

    answer = dates.get(f"{DICOMWEB}/studies", params=keys)

    assert answer.status_code == 200, answer.text
    found = set(uids(answer.json()))
    assert {samples.study_uid("date c"), samples.study_uid("date d")} <= found
    assert samples.study_uid("date a") not in found
