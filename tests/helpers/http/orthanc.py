"""Requests to Orthanc's REST, and the identifiers that it gives."""

from lenticular.dicom.orthanc_id import orthanc_id
from tests.helpers import samples


def ids_of(study="a", series=1, instance=1, patient=None):
    parts = (
        patient if patient is not None else f"P{study}",
        samples.study_uid(study),
        samples.series_uid(study, series),
        samples.sop_uid(study, series, instance),
    )
    return [orthanc_id(*parts[:depth]) for depth in (1, 2, 3, 4)]


def get(client, path, status=200):
    answer = client.get(path)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    return answer.json()


def add(client, content):
    """Store a file; the path of the instance."""
    answer = client.post("/instances", content=content)
    assert answer.status_code == 200, answer.text
    return answer.json()["Path"]
