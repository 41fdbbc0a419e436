"""pyorthanc and orthanc-api-client, outside clients of Orthanc's REST, against the real server."""

import io

import pydicom
import pyorthanc
import pytest
from orthanc_api_client import OrthancApiClient
from pyorthanc import util

from tests.helpers import samples
from tests.helpers.server_process import Server

pytestmark = pytest.mark.not_on_stack("these clients look up the name of the API themselves")


@pytest.fixture(scope="module")
def files() -> list[bytes]:
    return samples.ct_series("orthanc", 2) + samples.ct_series("orthanc", 1, series=2)


@pytest.fixture(scope="module")
def client(server: Server) -> pyorthanc.Orthanc:
    with pyorthanc.Orthanc(server.url, trust_env=False) as session:
        yield session


@pytest.fixture(scope="module")
def api(server: Server) -> OrthancApiClient:
    return OrthancApiClient(server.url)


@pytest.fixture(scope="module")
def study(client, files) -> pyorthanc.Study:
    """A study of two series that pyorthanc has stored."""
    for content in files:
        pyorthanc.upload(client, pydicom.dcmread(io.BytesIO(content)))
    (found,) = pyorthanc.find_studies(client, {"PatientID": "Porthanc"})
    return found


def test_pyorthanc_walks_the_hierarchy(client, study):
    assert study.uid == samples.study_uid("orthanc")
    assert study.patient_information["PatientName"] == "Doe^Jane"
    assert study.date.isoformat().startswith("2024-02-29")
    patient = study.parent_patient
    assert (patient.patient_id, patient.name, patient.sex) == ("Porthanc", "Doe^Jane", "F")
    assert patient.studies == [study]
    assert sorted(len(series.instances) for series in study.series) == [1, 2]
    series = max(study.series, key=lambda each: len(each.instances))
    assert (series.modality, series.parent_study, series.parent_patient) == ("CT", study, patient)
    assert study.get_shared_tags()["0010,0010"]["Value"] == "Doe^Jane"
    assert study.shared_tags["PatientName"] == "Doe^Jane"
    assert {each.identifier for each in study.series} == {
        util.to_orthanc_series_id("Porthanc", study.uid, samples.series_uid("orthanc", number))
        for number in (1, 2)
    }


def test_pyorthanc_finds_every_level(client, study):
    query = {"StudyInstanceUID": study.uid}
    assert len(pyorthanc.find_patients(client, {"PatientID": "Porthanc"})) == 1
    assert len(pyorthanc.find_series(client, query)) == 2
    assert len(pyorthanc.find_instances(client, {**query, "InstanceNumber": "2"})) == 1
    assert pyorthanc.find_studies(client, {"PatientID": "nobody"}) == []


def test_pyorthanc_reads_an_instance(client, study, files, tmp_path):
    (instance,) = pyorthanc.find_instances(client, {"SOPInstanceUID": samples.sop_uid("orthanc")})
    assert instance.get_dicom_file_content() == files[0]
    assert instance.file_size == len(files[0])
    assert instance.get_pydicom().pixel_array.shape == (16, 16)
    assert instance.simplified_tags["PatientName"] == "Doe^Jane"
    assert instance.tags["0010,0020"]["Value"] == "Porthanc"
    assert instance.get_content_by_tag("PatientID").strip() == "Porthanc"
    assert instance.image_position_patient == [0, 0, 1]
    instance.download(str(tmp_path / "file.dcm"))
    assert (tmp_path / "file.dcm").read_bytes() == files[0]
    assert study.get_zip().startswith(b"PK")
    pyorthanc.retrieve_and_write_patients([study.parent_patient], tmp_path / "all")
    assert len(list((tmp_path / "all").rglob("*.dcm"))) == len(files)


def test_orthanc_api_client_browses(api, study):
    assert api.is_alive()
    assert api.get_system()["ApiVersion"]
    assert api.get_statistics().studies_count >= 1
    identifier = api.studies.lookup(samples.study_uid("orthanc"))
    assert identifier == study.id_
    assert identifier in api.studies.get_all_ids()
    found = api.studies.get(identifier)
    assert found.main_dicom_tags.get("StudyDate") == "20240229"
    assert found.statistics.instances_count == 3
    assert sorted(len(series.instances) for series in found.series) == [1, 2]
    assert api.studies.get_modalities(identifier) == {"CT"}
    assert api.studies.get_tags(identifier).get("PatientID") == "Porthanc"
    assert api.patients.lookup("Porthanc") == api.studies.get_parent_patient_id(identifier)
    (again,) = api.studies.find({"PatientName": "doe*", "PatientID": "Porthanc"}, False)
    assert again.orthanc_id == identifier
    assert api.studies.exists(identifier)
    assert not api.studies.exists("0" * 40)


def test_orthanc_api_client_reads_and_deletes(api, files, tmp_path):
    path = tmp_path / "in.dcm"
    path.write_bytes(samples.ct("orthanc api"))
    (identifier,) = api.upload_file(path)
    assert api.instances.get_file(identifier) == path.read_bytes()
    assert api.instances.get_tags(identifier)["PatientID"] == "Porthanc api"
    assert api.instances.get_metadata(identifier)
    assert api.instances.lookup(samples.sop_uid("orthanc api")) == identifier
    series = api.instances.get_parent_series_id(identifier)
    assert api.series.get_instances_ids(series) == [identifier]
    study = api.instances.get_parent_study_id(identifier)
    api.studies.download_archive(study, str(tmp_path / "out.zip"))
    assert (tmp_path / "out.zip").read_bytes().startswith(b"PK")
    (downloaded,) = api.studies.download_instances(study, str(tmp_path))
    assert downloaded
    changes, _, _ = api.get_changes(since=0, limit=1000)
    assert changes
    api.studies.delete(study)
    assert not api.instances.exists(identifier)
