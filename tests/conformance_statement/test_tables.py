"""What docs/conformance.md says of parameters, reasons, transfer syntaxes and texts is so."""

import io
import re
from collections.abc import Callable

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, MediaStorageDirectoryStorage

from lenticular.dicom.match import matchers
from lenticular.dicom.read import character_sets, deflate, fragments
from lenticular.dicom.read.limits import ReadLimits
from lenticular.dicom.transfer_syntaxes import COMPRESSED, KNOWN
from lenticular.limits import Limits
from lenticular.pixels.render_options import MAX_VIEWPORT_SIDE
from lenticular.settings import GIBIBYTE, Settings
from lenticular.web.errors import STATUS
from lenticular.web.routes import rendered, wado_rs
from tests.helpers import samples, wire
from tests.helpers.conformance_tables import codes, rows
from tests.helpers.files import softcopy
from tests.helpers.files.charset_names import NAMES, file_of, groups_of, name_in
from tests.helpers.http.retrieve import get
from tests.helpers.http.store import as_json, bulk, metadata_of, pixels_of, send


@pytest.fixture(scope="module")
def client(module_client):
    """One for all, with a study for each."""
    return module_client


RENDERED = {
    "window": ("40,80,sigmoid", "x"),
    "viewport": ("8,8", "x"),
    "quality": ("10", "0"),
    "annotation": ("patient,technique", ","),
    "iccprofile": ("srgb", "x"),
    "accept": ("image/png", "x"),
}


def test_every_parameter_of_a_picture_changes_it_or_is_refused(client):
    stated = {row["Parameter"].strip("`") for row in rows("3.4", "Parameter")}
    assert stated == RENDERED.keys()
    wire.must_store(client, samples.ct("drawn", size=64))
    url = f"{wire.DICOMWEB}{samples.path('drawn')}/rendered"
    plain = client.get(url, params={"unknown": "x"}).content
    for name, (value, nonsense) in RENDERED.items():
        assert client.get(url, params={name: value}).content != plain, name
        wire.assert_error(client.get(url, params={name: nonsense}), 400)


URI = {
    "requestType": ("WADO", "x", 400),
    "studyUID": (samples.study_uid("by uri"), "x", 400),
    "seriesUID": (samples.series_uid("by uri"), "x", 400),
    "objectUID": (samples.sop_uid("by uri"), "x", 400),
}
URI_OF_OBJECTS = {
    "transferSyntax": ("*", "x", 400),
    "charset": ("UTF-8", "latin1", 400),
    "anonymize": ("yes", "no", 400),
}
URI_OF_PICTURES = {
    "contentType": ("image/png", "text/x-nothing", 406),
    "annotation": ("patient", ",", 400),
    "imageAnnotation": ("technique", ",", 400),
    "imageQuality": ("10", "0", 400),
    "iccprofile": ("srgb", "x", 400),
    "rows": ("8", "x", 400),
    "columns": ("8", "x", 400),
    "region": ("0,0,0.5,0.5", "x", 400),
    "windowCenter": ("40", "x", 400),
    "windowWidth": ("80", "x", 400),
    "frameNumber": ("1", "9", 400),
    "presentationUID": (samples.sop_uid("by uri", softcopy.SERIES), "x", 400),
    "presentationSeriesUID": (samples.series_uid("by uri", softcopy.SERIES), "x", 400),
}
PAIRS = {
    "windowCenter": "windowWidth", "windowWidth": "windowCenter",
    "presentationUID": "presentationSeriesUID", "presentationSeriesUID": "presentationUID",
}  # fmt: skip
# What is refused whatever it says, and what changes no picture of one frame.
REFUSED, UNCHANGED = ("anonymize",), ("frameNumber",)


def test_every_parameter_of_the_uri_service_changes_the_answer_or_is_refused(client):
    stated = {name for row in rows("3.5", "Parameter") for name in codes(row["Parameter"])}
    assert stated == URI.keys() | URI_OF_OBJECTS.keys() | URI_OF_PICTURES.keys()
    frames = samples.ramp(64, 64, 2)
    base = samples.dataset("by uri", SpecificCharacterSet="ISO_IR 100")
    state = softcopy.state("by uri", [softcopy.area(64, 64)])
    image = samples.encode(samples.with_pixels(base, frames, bits_stored=12))
    wire.must_store(client, image, state)
    named = {name: value for name, (value, _, _) in URI.items()}
    assert client.get("/wado", params=named).status_code == 200
    for name in URI:
        others = {key: value for key, value in named.items() if key != name}
        wire.assert_error(client.get("/wado", params=others), 400)
    objects = {**named, "contentType": "application/dicom"}
    for base_parameters, table in ((objects, URI_OF_OBJECTS), (named, URI_OF_PICTURES)):
        plain = client.get("/wado", params=base_parameters)
        for name, (value, nonsense, status) in table.items():
            pair = {PAIRS[name]: table[PAIRS[name]][0]} if name in PAIRS else {}
            answer = client.get("/wado", params={**base_parameters, **pair, name: value})
            if name in REFUSED:
                wire.assert_error(answer, 406)
            else:
                assert answer.status_code == 200, (name, answer.text)
                is_same = answer.content == plain.content
                assert is_same == (name in (*UNCHANGED, "transferSyntax")), name
            wrong = client.get("/wado", params={**base_parameters, **pair, name: nonsense})
            wire.assert_error(wrong, status)


def as_directory(study: str) -> bytes:
    return samples.encode(samples.dataset(study, SOPClassUID=MediaStorageDirectoryStorage))


def deflated(study: str) -> bytes:
    dataset = samples.dataset(study)
    dataset.add_new(0x00091010, "OB", bytes(70_000_000))
    return samples.encode(dataset, DeflatedExplicitVRLittleEndian)


FAILURES: dict[int, Callable] = {
    0xC000: lambda client: wire.store(client, b"no DICOM"),
    0x0110: lambda client: wire.store(client, samples.ct("c"), study=samples.study_uid("d")),
    0x0111: lambda client: wire.store(client, samples.ct("e", PatientID="other")),
    0x0122: lambda client: wire.store(client, as_directory("f")),
    0xA700: lambda client: wire.store(client, deflated("g")),
}


def coerced(client):
    metadata = metadata_of(samples.ct("h"))
    metadata["00280010"]["Value"] = [4000]
    grey = io.BytesIO()
    Image.fromarray(np.full((16, 16), 99, np.uint8)).save(grey, "JPEG")
    return send(client, as_json(metadata), bulk(grey.getvalue(), kind="image/jpeg"))


def discarded(client):
    content = samples.ct("i")
    metadata = metadata_of(content) | {"00000002": {"vr": "UI", "Value": ["1.2"]}}
    return send(client, as_json(metadata), bulk(pixels_of(content)))


def without_uids(client):
    uid = samples.study_uid("j").encode()
    return wire.store(client, samples.ct("j").replace(uid, b"a" + uid[1:]))


WARNINGS: dict[int, Callable] = {0xB000: coerced, 0xB006: discarded, 0xB007: without_uids}


def numbers(column: str) -> set[int]:
    return {int(row[column], 16) for row in rows("3.1", column)}


def test_every_reason_of_a_store_can_be_provoked(client):
    assert numbers("FailureReason") == FAILURES.keys()
    assert numbers("WarningReason") == WARNINGS.keys()
    wire.must_store(client, samples.ct("e"))
    for reason, provoke in FAILURES.items():
        answer = provoke(client)
        assert (answer.status_code, wire.failed(answer)[0][1]) == (409, reason), answer.text
    for reason, provoke in WARNINGS.items():
        answer = provoke(client)
        (item,) = wire.items(answer.json(), "00081199")
        assert (answer.status_code, wire.value(item, "00081196")) == (202, reason)


def made_syntaxes() -> dict[str, str]:
    """Each transfer syntax that can be made, and the media type of its frames."""
    made = {}
    for row in rows("3.3", "Transfer syntax"):
        first, *suffixes = row["UID"].split(", ")
        for uid in (first, *(first.rpartition(".")[0] + suffix for suffix in suffixes)):
            made[uid] = row["Frames"].strip("`")
    return made


def test_every_transfer_syntax_is_made_as_stated(client):
    made = made_syntaxes()
    native = {"1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99"}
    assert made.keys() == {*native, *COMPRESSED}
    grey = (samples.ramp() % 256).astype(np.uint8)
    wire.must_store(client, samples.encode(samples.with_pixels(samples.dataset("made"), grey)))
    for uid, media_type in made.items():
        accept = f"application/dicom; transfer-syntax={uid}"
        answer = get(client, samples.path("made"), accept)
        assert answer.status_code == 200, (uid, answer.text)
        meta = pydicom.dcmread(io.BytesIO(answer.content)).file_meta
        assert meta.TransferSyntaxUID == uid
        if media_type:
            accept = f"{media_type}; transfer-syntax={uid}"
            frame = get(client, samples.path("made") + "/frames/1", accept)
            assert frame.status_code == 200, (uid, frame.text)
            assert frame.headers["content-type"] == accept


def test_whoever_writes_a_file_is_named_as_stated(client):
    stated = [row["Value"] for row in rows("2", "Item")]
    content = samples.ct("written", instance=2)
    wire.must_store(client, samples.ct("written"))
    assert send(client, as_json(metadata_of(content)), bulk(pixels_of(content))).is_success
    compressed = "application/dicom; transfer-syntax=1.2.840.10008.1.2.4.90"
    for instance, accept in ((1, compressed), (2, "application/dicom")):
        answer = get(client, samples.path("written", instance=instance), accept)
        meta = pydicom.dcmread(io.BytesIO(answer.content)).file_meta
        assert [meta.ImplementationClassUID, meta.ImplementationVersionName] == stated


def test_the_known_transfer_syntaxes_are_listed_and_served_as_they_are(client):
    stated = {
        row["UID"]: (row["Transfer syntax"], row["Frames"].strip("`")) for row in rows("4.2", "UID")
    }
    assert stated == {uid: (known.name, known.media_type) for uid, known in KNOWN.items()}
    for uid, (_, media_type) in stated.items():
        label = f"in {uid}"
        content = samples.unknown_transfer_syntax(label, uid)
        if KNOWN[uid].encapsulated:
            base = samples.with_pixels(samples.dataset(label), samples.ramp())
            base.PixelData = pydicom.encaps.encapsulate([b"no picture"])
            base["PixelData"].VR = "OB"
            content = samples.encode(base, UID(uid)) if UID(uid).is_transfer_syntax else content
        if wire.store(client, content).status_code != 200:
            # Bytes of one way of encoding under the name of another: big endian, deflated.
            assert KNOWN[uid].big_endian or KNOWN[uid].deflated or KNOWN[uid].implicit
            continue
        answer = get(client, samples.path(label), f"application/dicom; transfer-syntax={uid}")
        assert answer.content == content
        assert answer.headers["content-type"] == f"application/dicom; transfer-syntax={uid}"
        assert media_type


def test_texts_in_every_character_set_are_read(client):
    stated = {row["Defined Term"] for row in rows("6", "Defined Term")}
    # One set has several names, with and without code extensions.
    codecs = {character_sets._CODECS[re.sub("[ _]", "", term)] for term in stated}
    assert codecs == set(character_sets._CODECS.values())
    plain = ("ISO_IR 6", "Doe^Jane")
    for term in stated:
        charset, name = next(each for each in (plain, *NAMES) if is_in(term, each[0]))
        wire.must_store(client, file_of(charset, name))
        url = f"{wire.DICOMWEB}/studies/{samples.study_uid('a')}"
        assert name_in(client, url) == groups_of(name), term
        client.delete(url)


def is_in(term: str, charset: str | list[str]) -> bool:
    """Whether a file in this Specific Character Set uses the set of the term."""
    terms = [charset] if isinstance(charset, str) else charset
    return term.replace("ISO_IR", "ISO 2022 IR") in [
        each.replace("ISO_IR", "ISO 2022 IR") for each in terms
    ]


def test_every_refusal_has_a_status_that_is_explained():
    explained = {
        int(status) for row in rows("Statuses", "Status") for status in row["Status"].split(", ")
    }

    assert set(STATUS.values()) <= explained


def test_the_settings_have_the_defaults_that_are_stated():
    defaults = Settings()
    for row in rows("5", "Setting"):
        for name in codes(row["Setting"]):
            value = getattr(defaults, name)
            stated = row["Default"].strip("`")
            assert stated == (str(value).lower() if value or value in (0, False) else "none")


def test_the_limits_are_those_of_the_code():
    settings = Settings()
    known = {
        "body of a request": [settings.maximum_body // GIBIBYTE, 4],
        "results of a search": [Limits.search_results],
        "UIDs in a list, values in any other": [matchers.MAXIMUM_UIDS, matchers.MAXIMUM_VALUES],
        "frames in a request, rendered ones": [wado_rs.MAX_FRAMES, rendered.MAX_FRAMES],
        "instances rendered in one answer": [Limits.rendered_instances],
        "sides of a picture": [MAX_VIEWPORT_SIDE],
        "elements, fragments of an instance": [ReadLimits.elements, fragments.MAX_FRAGMENTS],
        "what a deflated data set inflates to": [
            deflate.MAX_RATIO,
            deflate.FREE_INFLATED // 1024**2,
            deflate.MAX_INFLATED // GIBIBYTE,
        ],
        "entries of a zip, and what it unpacks to": [
            settings.maximum_zip_entries,
            settings.maximum_zip_bytes // GIBIBYTE,
        ],
    }
    stated = {
        row["Limit"]: [int(n.replace(",", "")) for n in re.findall(r"\d[\d,]*\b", row["Value"])]
        for row in rows("4.1", "Limit")
    }

    assert stated == known
