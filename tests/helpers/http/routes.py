"""The routes that answer GET, and values for the parameters in their paths."""

import pytest
from fastapi import FastAPI

from lenticular.web.routers import all_routers
from lenticular.web.routes import orthanc
from tests.helpers import samples, wire

NONSENSE = ["%00", "%FF", "..%2F..", "9" * 4000, "-1", "%C3%A9", "%20", "*", "1.2.3", "null"]


OF_MANY = ("/instances-tags", "/shared-tags", "/archive")


def templates() -> list[str]:
    """The path template of every route that answers GET."""
    app = FastAPI()
    for router in all_routers():
        app.include_router(router)
    return [path for path, methods in app.openapi()["paths"].items() if "get" in methods]


def is_of_orthanc(template: str) -> bool:
    """Return True if the route is one of Orthanc's REST."""
    return any(getattr(route, "path_format", None) == template for route in orthanc.router.routes)


@pytest.fixture(scope="module")
def existing(client) -> dict[str, str]:
    """A value for each path parameter that leads to something."""
    wire.must_store(client, samples.multi_frame("a"))
    (instance,), (study,) = client.get("/instances").json(), client.get("/studies").json()
    return {
        "study": samples.study_uid("a"),
        "series": samples.series_uid("a"),
        "frame_list": "1",
        "frame_index": "0",
        "collection": "instances",
        "identifier": instance,
        "study of it": study,
        "instance": samples.sop_uid("a"),
        "relation": "study",
        "kind": "preview",
        "upload_id": "x",
        "result_id": "x",
        "name": "ReceptionDate",
    }


def fill(template: str, values: dict[str, str]) -> str:
    """The template with these values; a path is bulk data of DICOMweb, or content of Orthanc's."""
    if template.endswith(OF_MANY):  # not of instances
        values = dict(values)
        if values["collection"] == "instances":
            values["collection"] = "studies"
        if values["identifier"] not in NONSENSE:
            values["identifier"] = values["study of it"]
    if template == "/wado":
        return (
            "/wado?requestType=WADO&studyUID={study}&seriesUID={series}&objectUID={instance}"
        ).format(**values)
    path = "7FE00010" if wire.DICOMWEB in template else "0010-0010"
    return template.format(path=path, **values)
