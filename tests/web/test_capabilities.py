"""What the service says of itself, PS3.18 8.9, and what every answer says of itself, RFC 9110."""

import gzip
import zlib
from urllib.parse import unquote
from xml.etree import ElementTree as ET

import pytest

from lenticular.settings import User
from tests.helpers import samples, wire
from tests.helpers.http.cross_origin import PAGE, PREFLIGHT, make_client
from tests.helpers.http.routes import existing, fill, is_of_orthanc, templates

__all__ = ["existing", "make_client"]

WADL = {"w": "http://wadl.dev.java.net/2009/02"}
PACKED = {"Accept-Encoding": "gzip"}


@pytest.fixture(scope="module")
def client(module_client):
    """One for all that change nothing of each other's."""
    return module_client


def documented(client) -> dict[str, dict[str, str]]:
    answer = client.options(wire.DICOMWEB, headers={"Accept": "application/json"})
    assert answer.status_code == 200
    (resources,) = answer.json()["application"]["resources"]
    return {
        f"/{each['@path']}" if each["@path"] else "": {
            method["@name"]: method["doc"][0]["value"] for method in each["method"]
        }
        for each in resources["resource"]
    }


@pytest.mark.not_on_stack("API Gateway answers OPTIONS of a resource itself")
def test_every_resource_names_its_methods_and_the_description_tells_the_same(client, existing):
    described = documented(client)
    for template in templates():
        answer = client.options(fill(template, existing))
        assert answer.status_code == 200, template
        allowed = set(answer.headers["allow"].split(", "))
        assert {"GET", "HEAD", "OPTIONS"} <= allowed
        refused = client.patch(fill(template, existing))
        assert (refused.status_code, refused.headers["allow"]) == (405, answer.headers["allow"])
        if template.startswith(wire.DICOMWEB):
            assert set(described[template.removeprefix(wire.DICOMWEB)]) == allowed
    wire.assert_error(client.options(f"{wire.DICOMWEB}/nothing"), 404)


def test_the_description_says_what_each_method_is_for(client):
    described = documented(client)

    assert "Store" in described["/studies"]["POST"]
    assert described["/studies/{study}"]["GET"].endswith("(PS3.18 10.4.1.1.1).")
    assert described["/studies/{study}"]["DELETE"]
    with_slash = client.options(f"{wire.DICOMWEB}/")
    assert with_slash.json()["application"]["resources"]


def test_the_description_is_to_be_had_as_wadl(client):
    answer = client.options(wire.DICOMWEB, headers={"Accept": "application/vnd.sun.wadl+xml"})

    assert answer.headers["content-type"] == "application/vnd.sun.wadl+xml"
    root = ET.fromstring(answer.content)
    base = root.find("w:resources", WADL).attrib["base"]
    paths = {
        each.attrib["path"]: {method.attrib["name"] for method in each.findall("w:method", WADL)}
        for each in root.iterfind(".//w:resource", WADL)
    }
    assert base.endswith(f"{wire.DICOMWEB}/")
    assert paths == {path.lstrip("/"): set(methods) for path, methods in documented(client).items()}
    wire.assert_error(client.options(wire.DICOMWEB, headers={"Accept": "text/x-nothing"}), 406)


def method_of(client, path: str, name: str) -> dict:
    """The description of a method in JSON (PS3.18 Annex G)."""
    (resources,) = client.options(wire.DICOMWEB).json()["application"]["resources"]
    (resource,) = (each for each in resources["resource"] if each["@path"] == path)
    (found,) = (each for each in resource["method"] if each["@name"] == name)
    return found


def options_of(method: dict, style: str, name: str) -> list[str]:
    """The values that a parameter of a method may have."""
    (parameter,) = (
        each
        for each in method["request"]["param"]
        if (each["@style"], each["@name"]) == (style, name)
    )
    return [each["@value"] for each in parameter.get("option", [])]


def test_the_description_names_transactions_media_types_and_character_sets(client):
    wire.must_store(client, samples.ct("described"))
    for path, name, identifier in (
        ("studies", "GET", "SearchForStudies"),
        ("studies", "POST", "StoreInstances"),
        ("studies/{study}", "GET", "RetrieveStudy"),
        ("studies/{study}/metadata", "GET", "RetrieveStudyMetadata"),
        ("studies/{study}/rendered", "GET", "RetrieveRenderedStudy"),
    ):
        method = method_of(client, path, name)
        assert method["@id"] == identifier
        media_types = options_of(method, "header", "Accept")
        assert media_types == options_of(method, "query", "accept")
        assert [each["@mediaType"] for each in method["response"][0]["representation"]] == (
            media_types
        )
        assert "utf-8" in options_of(method, "header", "Accept-Charset")
        if name == "GET":
            url = "/studies" + path.removeprefix("studies").format(
                study=samples.study_uid("described")
            )
            for media_type in media_types:
                answer = client.get(wire.DICOMWEB + url, headers={"Accept": media_type})
                # A report has other types than an image, and 12 bits are not for JPEG Baseline.
                is_of_others = ("rendered" in path and media_type[:5] != "image") or (
                    "transfer-syntax" in media_type
                )
                assert answer.status_code == 200 or is_of_others, media_type


def test_the_description_names_the_keys_of_a_search(client):
    studies, instances = method_of(client, "studies", "GET"), method_of(client, "instances", "GET")
    names = [
        {each["@name"] for each in method["request"]["param"] if each["@style"] == "query"}
        for method in (studies, instances)
    ]

    assert {"PatientName", "StudyDate", "ModalitiesInStudy", "limit", "includefield"} <= names[0]
    assert {"PatientName", "Modality", "SOPClassUID", "offset"} <= names[1]
    assert "SOPClassUID" not in names[0]
    assert options_of(studies, "query", "fuzzymatching") == ["true", "false"]


def test_wadl_and_its_json_say_the_same(client):
    answer = client.options(wire.DICOMWEB, headers={"Accept": "application/vnd.sun.wadl+xml"})
    described = client.options(wire.DICOMWEB).json()["application"]

    def flat(element: ET.Element) -> list:
        attributes = {f"@{name}": value for name, value in element.attrib.items()}
        return [element.tag.rpartition("}")[2], attributes, *map(flat, element)]

    def flat_json(name: str, found: dict) -> list:
        attributes = {key: value for key, value in found.items() if key.startswith("@")}
        children = [
            flat_json(key, child)
            for key, value in found.items()
            if isinstance(value, list | dict)
            for child in (value if isinstance(value, list) else [value])
        ]
        return [name, attributes, *children]

    assert flat(ET.fromstring(answer.content)) == flat_json("application", described)


def test_a_page_of_an_allowed_origin_needs_no_credentials_to_ask_whether_it_may(
    services, connect, make_client
):
    secret = make_client("*", users=(User("doctor", "secret", frozenset({"read"})),))
    page = {"Origin": PAGE}

    preflight = secret.options(f"{wire.DICOMWEB}/studies", headers=PREFLIGHT)
    assert preflight.status_code == 200
    refused = secret.get(f"{wire.DICOMWEB}/studies", headers=page)
    assert refused.status_code == 401
    assert refused.headers["Access-Control-Allow-Origin"] == "*"
    assert secret.options(f"{wire.DICOMWEB}/studies", headers=page).status_code == 401
    answer = secret.get(f"{wire.DICOMWEB}/studies", headers=page, auth=("doctor", "secret"))
    exposed = answer.headers["Access-Control-Expose-Headers"]
    for name in ("Content-Location", "ETag", "Warning", "Content-Range", "Location", "Allow"):
        assert name in exposed.split(", ")


@pytest.mark.parametrize(
    ("below", "accept"),
    [
        ("", "application/dicom"),
        ("/frames/1", "application/octet-stream"),
        ("/bulkdata/7FE00010", "*/*"),
        ("/rendered?window=40,80,linear", "image/jpeg"),
        ("/thumbnail", "image/jpeg"),
    ],
)
def test_a_single_part_says_where_it_is(client, below, accept):
    wire.must_store(client, samples.ct("placed"))
    answer = client.get(wire.DICOMWEB + samples.path("placed") + below, headers={"Accept": accept})

    assert answer.status_code == 200, answer.text
    location = answer.headers["content-location"]
    assert unquote(location).endswith(wire.DICOMWEB + samples.path("placed") + below)
    assert client.get(location, headers={"Accept": accept}).content == answer.content


# No attribute is configured here, so there is none to be told of.
IN_DICOMWEB = [
    each
    for each in templates()
    if each.startswith(wire.DICOMWEB)
    and not is_of_orthanc(each)
    and "extendedquerytags/" not in each
]


@pytest.mark.parametrize("template", IN_DICOMWEB)
def test_no_resource_is_sent_again_to_who_has_it(client, existing, template):
    url = fill(template, existing)
    # Another test of this module may have begun with an empty server.
    wire.must_store(client, samples.multi_frame("a"))
    for accept in ("*/*", "application/dicom+xml, multipart/related; type=*/*"):
        answer = client.get(url, headers={"Accept": accept})
        assert answer.status_code in (200, 204, 406), answer.text
        if answer.status_code == 200:
            known = {"Accept": accept, "If-None-Match": answer.headers["etag"]}
            again = client.get(url, headers=known)
            assert (again.status_code, again.content) == (304, b"")
            assert again.headers["etag"] == answer.headers["etag"]


def many(client, study: str) -> str:
    """A study whose metadata and search answers are more than a megabyte."""
    base = {"ImageComments": "a long comment " * 600}
    wire.must_store(client, *samples.ct_series(study, 150, **base))
    return f"{wire.DICOMWEB}/studies/{samples.study_uid(study)}"


def test_large_answers_are_not_sent_to_who_has_them(client):
    study = many(client, "large")
    for url in (f"{study}/metadata", f"{study}/instances?includefield=all"):
        for accept in ("application/dicom+json", 'multipart/related; type="application/dicom+xml"'):
            answer = client.get(url, headers={"Accept": accept})
            assert len(answer.content) > 1_000_000
            known = {"Accept": accept, "If-None-Match": answer.headers["etag"]}
            again = client.get(url, headers=known)
            assert (again.status_code, again.content) == (304, b""), (url, accept)
            assert client.get(url, headers={**known, "Accept": "*/*"}).status_code in (200, 304)
    url = f"{study}/metadata"
    tag = {"If-None-Match": client.get(url).headers["etag"]}
    assert client.get(url, headers=tag).status_code == 304
    wire.must_store(client, samples.ct("large", instance=1000))
    assert client.get(url, headers=tag).status_code == 200


def raw(client, url: str, **headers: str) -> tuple[bytes, dict[str, str]]:
    """The body as it came over the wire."""
    with client.stream("GET", url, headers=headers) as answer:
        assert answer.status_code == 200
        return b"".join(answer.iter_raw()), dict(answer.headers)


def test_much_text_is_packed_for_who_can_unpack_it(client):
    study = many(client, "packed")
    small = f"{wire.DICOMWEB}/studies?StudyInstanceUID={samples.study_uid('packed')}"
    for url in (f"{study}/metadata", f"{study}/instances?includefield=all"):
        plain, headers = raw(client, url, **{"Accept-Encoding": "identity"})
        assert "content-encoding" not in headers
        assert "Accept-Encoding" in headers["vary"]
        packed, packed_headers = raw(client, url, **PACKED)
        assert packed_headers["content-encoding"] == "gzip"
        assert gzip.decompress(packed) == plain
        assert len(packed) < len(plain) / 4
        assert packed_headers["etag"].startswith("W/")
        head = client.head(url, headers=PACKED)
        assert head.headers["content-encoding"] == "gzip"
        assert wire.length_told(head) is None
        known = {**PACKED, "If-None-Match": packed_headers["etag"]}
        assert client.get(url, headers=known).status_code == 304
        assert "content-encoding" not in raw(client, url, **{"Accept-Encoding": "gzip;q=0, br"})[1]
    assert "content-encoding" not in raw(client, small, **PACKED)[1]
    assert zlib.crc32(gzip.decompress(raw(client, f"{study}/metadata", **PACKED)[0]))


def test_dicom_and_pictures_are_never_packed(client):
    wire.must_store(client, samples.multi_frame("unpacked", 100))
    for below, accept in (
        ("", "application/dicom"),
        ("", "multipart/related; type=application/dicom"),
        ("/frames/1", "multipart/related; type=application/octet-stream"),
        ("/bulkdata/7FE00010", "application/octet-stream"),
        ("/rendered", "image/png"),
    ):
        url = wire.DICOMWEB + samples.path("unpacked") + below
        headers = raw(client, url, **PACKED, Accept=accept)[1]
        assert "content-encoding" not in headers, (below, accept)
