"""Browsing and deleting as Orthanc answers it, which was recorded from Orthanc 1.10.1."""

import io
import re
import zipfile
from dataclasses import replace

import pytest

from lenticular.limits import Limits
from tests.helpers import samples, wire
from tests.helpers.http.orthanc import get, ids_of

MISSING = "00000000-00000000-00000000-00000000-00000000"
TIME = re.compile(r"\d{8}T\d{6}")


@pytest.fixture
def study(client):
    """A study of two series, three instances in the first and one in the second."""
    wire.must_store(client, *samples.ct_series("a", 3), samples.ct("a", series=2))
    return ids_of("a")


def test_a_patient_is_told_with_its_studies(client, study):
    patient, its_study, *_ = study
    told = get(client, f"/patients/{patient}")
    assert TIME.fullmatch(told.pop("LastUpdate"))
    assert told == {
        "ID": patient,
        "IsStable": False,
        "MainDicomTags": {
            "PatientBirthDate": "19700101",
            "PatientID": "Pa",
            "PatientName": "Doe^Jane",
            "PatientSex": "F",
        },
        "Studies": [its_study],
        "Type": "Patient",
    }


def test_a_study_is_told_with_its_series_and_its_patient(client, study):
    patient, its_study, first, _ = study
    told = get(client, f"/studies/{its_study}")
    assert TIME.fullmatch(told.pop("LastUpdate"))
    assert told == {
        "ID": its_study,
        "IsStable": False,
        "MainDicomTags": {
            "AccessionNumber": "Aa",
            "ReferringPhysicianName": "Referrer^Rita",
            "StudyDate": "20240229",
            "StudyDescription": "Head plain",
            "StudyID": "1",
            "StudyInstanceUID": samples.study_uid("a"),
            "StudyTime": "101112.5",
        },
        "ParentPatient": patient,
        "PatientMainDicomTags": {
            "PatientBirthDate": "19700101",
            "PatientID": "Pa",
            "PatientName": "Doe^Jane",
            "PatientSex": "F",
        },
        "Series": [first, ids_of("a", series=2)[2]],
        "Type": "Study",
    }


def test_a_series_is_told_with_its_instances(client, study):
    _, its_study, series, first = study
    told = get(client, f"/series/{series}")
    assert TIME.fullmatch(told.pop("LastUpdate"))
    assert told == {
        "ExpectedNumberOfInstances": None,
        "ID": series,
        "Instances": [first, ids_of("a", instance=2)[3], ids_of("a", instance=3)[3]],
        "IsStable": False,
        "MainDicomTags": {
            "BodyPartExamined": "HEAD",
            "ImageOrientationPatient": "1.0\\0.0\\0.0\\0.0\\1.0\\0.0",
            "Manufacturer": "Lenticular",
            "Modality": "CT",
            "SeriesDate": "20240229",
            "SeriesDescription": "Series 1",
            "SeriesInstanceUID": samples.series_uid("a"),
            "SeriesNumber": "1",
        },
        "ParentStudy": its_study,
        "Status": "Unknown",
        "Type": "Series",
    }


def test_an_instance_is_told_with_its_file(client, study):
    _, _, series, first = study
    told = get(client, f"/instances/{first}")
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", told.pop("FileUuid"))
    assert told == {
        "FileSize": len(samples.ct("a")),
        "ID": first,
        "IndexInSeries": 1,
        "MainDicomTags": {
            "ImageOrientationPatient": "1.0\\0.0\\0.0\\0.0\\1.0\\0.0",
            "ImagePositionPatient": "0.0\\0.0\\1.0",
            "InstanceNumber": "1",
            "SOPInstanceUID": samples.sop_uid("a"),
        },
        "ParentSeries": series,
        "Type": "Instance",
    }


def test_a_series_that_says_how_many_instances_it_has_tells_whether_they_are_there(client):
    count = {"ImagesInAcquisition": 2, "NumberOfTemporalPositions": 1}
    path = f"/series/{ids_of('a')[2]}"
    for number, status in ((1, "Missing"), (2, "Complete"), (3, "Inconsistent")):
        wire.must_store(client, samples.ct("a", instance=number, **count))
        told = get(client, path)
        assert (told["ExpectedNumberOfInstances"], told["Status"]) == (2, status)


def test_tags_can_be_told_by_number_or_in_full(client, study):
    path = f"/studies/{study[1]}"
    assert get(client, f"{path}?short")["MainDicomTags"]["0020,000d"] == samples.study_uid("a")
    assert get(client, f"{path}?full")["PatientMainDicomTags"]["0010,0020"] == {
        "Name": "PatientID",
        "Type": "String",
        "Value": "Pa",
    }


@pytest.mark.parametrize("level", ["patients", "studies", "series", "instances"])
def test_a_level_is_listed_by_identifier_in_the_order_of_arrival(client, level):
    names = ("c", "a", "b")
    for name in names:
        wire.must_store(client, samples.ct(name))
    depth = ["patients", "studies", "series", "instances"].index(level)
    ids = [ids_of(name)[depth] for name in names]
    assert get(client, f"/{level}") == ids
    assert get(client, f"/{level}/") == ids
    assert get(client, f"/{level}?since=1&limit=1") == ids[1:2]
    assert get(client, f"/{level}?since=1&limit=1000000000") == ids[1:]
    assert get(client, f"/{level}?since=-5&limit=2") == ids[:2]
    assert get(client, f"/{level}?since=0&limit=0") == []
    assert get(client, f"/{level}?since=99999999999999999999&limit=3") == []
    assert get(client, f"/{level}?expand=false") == ids
    expanded = get(client, f"/{level}?expand")
    assert [told["ID"] for told in expanded] == ids
    assert expanded == [get(client, f"/{level}/{each}") for each in ids]
    assert get(client, f"/{level}?expand&since=2&limit=1") == expanded[2:]


def test_a_list_of_many_is_read_in_pages(services, connect):
    client = connect(replace(services, limits=Limits(orthanc_resources=2)))
    wire.must_store(client, *samples.ct_series("a", 5))
    assert len(get(client, "/instances?expand")) == 5
    assert len(get(client, "/instances?expand&since=1&limit=3")) == 3


@pytest.mark.parametrize(
    ("query", "orthanc_status"), [("since=2", 8), ("limit=2", 8), ("since=x&limit=2", 5)]
)
def test_half_a_window_or_a_malformed_one_is_refused(client, query, orthanc_status):
    body = get(client, f"/studies?{query}", 400)
    assert body["OrthancStatus"] == orthanc_status


def test_what_is_above_is_told(client, study):
    patient, its_study, series, instance = study
    above = {
        f"/instances/{instance}": {"series": series, "study": its_study, "patient": patient},
        f"/series/{series}": {"study": its_study, "patient": patient},
        f"/studies/{its_study}": {"patient": patient},
    }
    plural = {"series": "series", "study": "studies", "patient": "patients"}
    for path, levels in above.items():
        for level, identifier in levels.items():
            told = get(client, f"{path}/{level}")
            assert told == get(client, f"/{plural[level]}/{identifier}")


def test_what_is_below_is_told_in_full(client, study):
    patient, its_study, series, _ = study
    assert [each["ID"] for each in get(client, f"/patients/{patient}/studies")] == [its_study]
    for path in (f"/patients/{patient}", f"/studies/{its_study}"):
        below = get(client, f"{path}/series")
        assert [each["Type"] for each in below] == ["Series"] * 2
        assert len(get(client, f"{path}/instances")) == 4
    assert len(get(client, f"/series/{series}/instances")) == 3


def test_what_is_neither_above_nor_below_is_not_there(client, study):
    patient, its_study, series, instance = study
    for path in (
        f"/patients/{patient}/patient",
        f"/studies/{its_study}/studies",
        f"/series/{series}/series",
        f"/instances/{instance}/instances",
        f"/instances/{instance}/nonsense",
    ):
        assert get(client, path, 404)["HttpStatus"] == 404


@pytest.mark.parametrize("identifier", [MISSING, "nonsense", "ü", "%00"])
def test_an_unknown_identifier_answers_404_with_a_body(client, identifier):
    for path in (
        "patients/{}",
        "studies/{}/series",
        "series/{}/statistics",
        "instances/{}/file",
        "instances/{}/preview",
        "studies/{}/archive",
    ):
        body = get(client, "/" + path.format(identifier), 404)
        assert body["HttpError"] == "Not Found"
        assert body["OrthancStatus"]
    assert client.delete(f"/studies/{identifier}").status_code == 404


def test_a_capital_identifier_is_unknown_as_in_orthanc(client, study):
    assert get(client, f"/studies/{study[1].upper()}", 404)["HttpStatus"] == 404


def test_how_much_is_stored_is_counted(client, study):
    assert get(client, "/statistics") == {
        "CountInstances": 4,
        "CountPatients": 1,
        "CountSeries": 2,
        "CountStudies": 1,
        "TotalDiskSize": str(size := size_of(study)),
        "TotalDiskSizeMB": 0,
        "TotalUncompressedSize": str(size),
        "TotalUncompressedSizeMB": 0,
    }


def size_of(_):
    files = [*samples.ct_series("a", 3), samples.ct("a", series=2)]
    return sum(map(len, files))


def test_how_much_belongs_to_a_resource_is_counted(client, study):
    patient, its_study, series, instance = study
    size = str(size_of(study))
    told = get(client, f"/patients/{patient}/statistics")
    assert (told["CountStudies"], told["CountSeries"], told["CountInstances"]) == (1, 2, 4)
    assert told["DiskSize"] == told["DicomDiskSize"] == told["UncompressedSize"] == size
    told = get(client, f"/studies/{its_study}/statistics")
    assert (told["CountSeries"], told["CountInstances"], told["DiskSize"]) == (2, 4, size)
    assert get(client, f"/series/{series}/statistics")["CountInstances"] == 3
    assert get(client, f"/instances/{instance}/statistics") == {
        "DicomDiskSize": str(len(samples.ct("a"))),
        "DicomDiskSizeMB": 0,
        "DicomUncompressedSize": str(len(samples.ct("a"))),
        "DicomUncompressedSizeMB": 0,
        "DiskSize": str(len(samples.ct("a"))),
        "DiskSizeMB": 0,
        "UncompressedSize": str(len(samples.ct("a"))),
        "UncompressedSizeMB": 0,
    }


def test_what_the_server_noted_is_told(client, study):
    path = f"/instances/{study[3]}/metadata"
    noted = get(client, f"{path}?expand")
    assert get(client, path) == list(noted)
    assert noted["TransferSyntax"] == "1.2.840.10008.1.2.1"
    assert noted["SopClassUid"] == samples.CT_IMAGE_STORAGE
    assert noted["IndexInSeries"] == "1"
    assert TIME.fullmatch(noted["ReceptionDate"])
    assert client.get(f"{path}/TransferSyntax").text == "1.2.840.10008.1.2.1"
    assert get(client, f"{path}/Nonsense", 404)
    assert list(get(client, f"/studies/{study[1]}/metadata?expand")) == ["LastUpdate"]


def test_the_tags_of_all_instances_go_by_identifier(client, study):
    told = get(client, f"/studies/{study[1]}/instances-tags?simplify")
    assert len(told) == 4
    assert told[study[3]]["InstanceNumber"] == "1"
    assert get(client, f"/series/{study[2]}/instances-tags")[study[3]]["0020,0013"]["Value"] == "1"


def test_the_tags_that_all_instances_share_are_told(client, study):
    told = get(client, f"/studies/{study[1]}/shared-tags?simplify")
    assert told["StudyInstanceUID"] == samples.study_uid("a")
    assert "SeriesInstanceUID" not in told
    assert "InstanceNumber" not in told
    assert "0020,000e" in get(client, f"/series/{study[2]}/shared-tags")


def test_the_files_of_a_study_come_as_a_zip_with_telling_names(client, study):
    answer = client.get(f"/studies/{study[1]}/archive")
    assert answer.headers["content-type"] == "application/zip"
    assert f'filename="{study[1]}.zip"' in answer.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [
            "Pa Doe Jane/Aa Head plain/CT Series 1/CT000000.dcm",
            "Pa Doe Jane/Aa Head plain/CT Series 1/CT000001.dcm",
            "Pa Doe Jane/Aa Head plain/CT Series 1/CT000002.dcm",
            "Pa Doe Jane/Aa Head plain/CT Series 2/CT000000.dcm",
        ]
        assert archive.read(archive.namelist()[3]) == samples.ct("a", series=2)


def test_names_in_a_zip_are_safe_and_no_two_are_alike(client):
    strange = {"PatientID": "..", "PatientName": "/etc/山田", "StudyDescription": "a/../b\\c"}
    alike = {"SeriesDescription": "same", "Modality": "SR"}
    for series in (1, 2):
        wire.must_store(client, samples.ct("a", series=series, **strange, **alike))
    patient = get(client, "/patients")[0]
    answer = client.get(f"/patients/{patient}/archive")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.namelist() == [
            "etc 山田/Aa a .. b c/SR same/SR000000.dcm",
            "etc 山田/Aa a .. b c/SR same-2/SR000000.dcm",
        ]


def test_a_study_without_any_name_has_a_name_in_a_zip(client):
    nameless = dict.fromkeys(
        ("PatientID", "PatientName", "AccessionNumber", "StudyDescription", "Modality")
    )
    wire.must_store(client, samples.ct("a", **nameless, SeriesDescription=None))
    instance = get(client, "/instances")[0]
    answer = client.get(f"/series/{get(client, '/series')[0]}/archive")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.namelist() == ["Unknown Patient/Unknown Study/Unknown Series/00000000.dcm"]
    assert get(client, f"/instances/{instance}/patient")["MainDicomTags"] == {
        "PatientBirthDate": "19700101",
        "PatientSex": "F",
    }


def test_deleting_tells_what_remains_above_and_leaves_nothing_empty(client, study):
    _, its_study, series, instance = study
    assert client.delete(f"/instances/{instance}").json() == {
        "RemainingAncestor": {"ID": series, "Path": f"/series/{series}", "Type": "Series"}
    }
    assert client.delete(f"/instances/{instance}").status_code == 404
    assert client.delete(f"/series/{series}").json() == {
        "RemainingAncestor": {"ID": its_study, "Path": f"/studies/{its_study}", "Type": "Study"}
    }
    assert get(client, "/statistics")["CountInstances"] == 1
    other = ids_of("a", series=2, instance=1)[3]
    assert client.delete(f"/instances/{other}").json() == {"RemainingAncestor": None}
    for level in ("patients", "studies", "series", "instances"):
        assert get(client, f"/{level}") == []


def test_deleting_a_patient_takes_all_studies_and_files(client, services):
    for number in range(3):
        wire.must_store(client, samples.ct(number, PatientID="One"))
    wire.must_store(client, samples.ct("other"))
    patient = ids_of(0, patient="One")[0]
    assert len(get(client, f"/patients/{patient}")["Studies"]) == 3
    assert client.delete(f"/patients/{patient}").json() == {"RemainingAncestor": None}
    assert get(client, "/statistics")["CountStudies"] == 1
    assert len(list(services.storage.keys("instances/"))) == 1


def test_head_answers_where_get_does(client, study):
    for path in ("/studies", f"/studies/{study[1]}", "/system", f"/instances/{study[3]}/file"):
        answer = client.head(path)
        assert answer.status_code == 200
        assert answer.content == b""


def test_another_method_answers_405_in_orthancs_shape(client, study):
    answer = client.put(f"/studies/{study[1]}")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "DELETE, GET, HEAD, OPTIONS"
    assert answer.json()["Method"] == "PUT"
