"""The functions behind API Gateway: the same answers as on one machine, each only its own."""

import hashlib
import io

import pytest

from tests.helpers import samples
from tests.helpers.aws.api_gateway import HOST, STAGE

DICOM = "application/dicom"


def store(functions, content: bytes):
    return functions.call("upload", "POST", "/dicom-web/studies", content, content_type=DICOM)


def test_what_one_function_stores_the_others_find_retrieve_and_draw(functions):
    content = samples.ct("functions", rows=64, columns=64)
    study, path = samples.study_uid("functions"), "/dicom-web" + samples.path("functions")

    assert store(functions, content).status == 200

    found = functions.call("dicomweb", "GET", f"/dicom-web/studies?StudyInstanceUID={study}")
    assert found.status == 200
    assert len(found.json()) == 1
    instance = functions.call("dicomweb", "GET", path, accept=f"{DICOM}; transfer-syntax=*")
    assert hashlib.sha256(instance.content).digest() == hashlib.sha256(content).digest()
    picture = functions.call("preview", "GET", f"{path}/rendered", accept="image/png")
    assert picture.content.startswith(b"\x89PNG")
    uids = f"studyUID={study}&seriesUID={samples.series_uid('functions')}"
    wado = f"/wado?requestType=WADO&{uids}&objectUID={samples.sop_uid('functions')}"
    drawn = functions.call("preview", "GET", f"{wado}&contentType=image/png")
    assert drawn.content == picture.content
    whole = functions.call("preview", "GET", f"{wado}&contentType={DICOM}")
    assert hashlib.sha256(whole.content).digest() == hashlib.sha256(content).digest()


def test_addresses_in_answers_lead_back_to_the_stage(functions):
    store(functions, samples.ct("addresses"))
    url = f"/dicom-web/studies?StudyInstanceUID={samples.study_uid('addresses')}"
    found = functions.call("dicomweb", "GET", url).json()
    expected = f"https://{HOST}{STAGE}/dicom-web/studies/{samples.study_uid('addresses')}"
    assert found[0]["00081190"]["Value"] == [expected]


def test_json_is_not_sent_as_base64(functions, import_function):
    from tests.helpers.aws.api_gateway import Context, event

    handler = import_function("dicomweb.handler").handler
    result = handler(event("GET", "/dicom-web/studies"), Context())
    assert result["isBase64Encoded"] is False


def test_orthanc_ids_work_across_functions(functions):
    stored = functions.call("upload", "POST", "/instances", samples.ct("orthanc")).json()
    content = functions.call("dicomweb", "GET", f"/instances/{stored['ID']}/file").content
    assert content == samples.ct("orthanc")
    drawn = functions.call("preview", "GET", f"/instances/{stored['ID']}/preview")
    assert drawn.headers["content-type"] == "image/png"
    gone = functions.call("upload", "DELETE", f"/instances/{stored['ID']}")
    assert gone.status == 200
    assert functions.call("dicomweb", "GET", f"/instances/{stored['ID']}").status == 404


def test_percent_and_plus_in_a_query_mean_what_they_say(functions):
    store(functions, samples.ct("query", PatientName="Müller^Jörg A+B"))
    study = samples.study_uid("query")
    for name in ("M%C3%BCller%5EJ%C3%B6rg%20A%2BB", "muller*a%2Bb"):
        url = f"/dicom-web/studies?StudyInstanceUID={study}&PatientName={name}"
        assert len(functions.call("dicomweb", "GET", url).json()) == 1


@pytest.mark.parametrize(
    ("function", "method", "url"),
    [
        ("dicomweb", "POST", "/dicom-web/studies"),
        ("dicomweb", "DELETE", "/dicom-web/studies/1.2.3"),
        ("dicomweb", "DELETE", "/studies/0a1b"),
        ("preview", "GET", "/dicom-web/studies"),
        ("preview", "POST", "/instances"),
        ("upload", "GET", "/dicom-web/studies"),
    ],
)
def test_a_function_answers_nothing_but_its_own_routes(functions, function, method, url):
    assert functions.call(function, method, url, b"x").status in (404, 405)


def test_counts_become_metrics_and_logs_hold_no_names(functions, import_function, capsys):
    logs = io.StringIO()
    for handler in import_function("shared").logger.handlers:
        handler.setStream(logs)
    store(functions, samples.ct("metrics", PatientName="Secret^Name"))
    functions.call("dicomweb", "GET", "/dicom-web/studies?PatientName=Secret*")
    text = logs.getvalue() + capsys.readouterr().out
    assert '"Namespace":"Lenticular"' in text.replace(" ", "")
    assert '"Stored":[1.0]' in text.replace(" ", "")
    assert "c6af9ac6-7b61-11e6-9a41-93e8deadbeef" in text
    assert "Secret" not in text
