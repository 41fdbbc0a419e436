"""A client of the real server that asks for everything nearly right, for as long as it is let.

What it asks for comes from the seed and the files, as long as the server answers alike. It keeps
what was acknowledged, and asks for it again.
"""

import gzip
import json
import random
import re
import socket
from collections import Counter
from pathlib import Path
from typing import Any

import httpx2

from lenticular.dicom.json_and_xml.xml_writer import to_xml
from lenticular.dicom.transfer_syntaxes import KNOWN
from tests.helpers import samples, wire
from tests.helpers.fuzz.busy_presentation_state import busy_state
from tests.helpers.fuzz.mutations import altered, damaged, escaped, spliced, value, word
from tests.helpers.http.routes import templates
from tests.helpers.http.store import BOUNDARY, metadata_of
from tests.helpers.server_process import Server

LARGEST_FILE = 600_000
REMEMBERED = 400
CHECKED_EVERY = 50
EXPECTED_FAILURES = (503, 507)
KEYS = [
    *("PatientName", "PatientID", "StudyDate", "StudyTime", "ModalitiesInStudy", "SeriesNumber"),
    *("AcquisitionDateTime", "StudyInstanceUID", "SOPInstanceUID", "00400275.00400009"),
    *("PatientBirthDate", "00080060", "ReferencedSeriesSequence.SeriesInstanceUID", "00091001"),
]
PARAMETERS = [
    *("accept", "limit", "offset", "includefield", "fuzzymatching", "emptyvaluematching"),
    *("multiplevaluematching", "window", "viewport", "quality", "annotation", "iccprofile"),
    *("rows", "columns", "region", "windowCenter", "windowWidth", "imageQuality", "frameNumber"),
    *("contentType", "transferSyntax", "charset", "anonymize", "presentationUID", "requestType"),
    *("presentationSeriesUID", "studyUID", "seriesUID", "objectUID", "expand", "since", "last"),
    *("simplify", "short", "startTime", "endTime", "includeMetadata", "full", "requestedTags"),
    *KEYS,
]
HEADERS = ("Accept", "Range", "If-None-Match", "If-Range", "Accept-Encoding", "Origin", "Prefer")
DESCRIBED = ("ct explicit", "ct big endian", "multi-frame", "palette", "enhanced", "one bit", "pdf")
"""Of these in the gallery the metadata are stored, too."""
ACCEPTED = [
    *("*/*", "image/jpeg", "image/png", "image/gif", "text/html", "text/plain", "application/zip"),
    *("application/dicom", "application/dicom+json", "application/dicom+xml", "application/pdf"),
    *("application/octet-stream", "image/jls", "image/jp2", "image/jphc", "image/dicom-rle"),
]

AS_STORED = ", ".join(
    f"application/dicom; transfer-syntax={syntax}"
    for syntax in ("1.2.840.10008.1.2", "1.2.840.10008.1.2.2", "*; q=0.5")
)
"""Only who names Implicit VR or Big Endian gets files of these syntaxes as they are stored."""


class Broken(AssertionError):
    """The server did what it must not do."""


class Fuzzer:
    """Asks a server; `step` raises Broken when the answer is none that may be."""

    def __init__(self, server: Server, seed: int, files: list[Path], folder: Path) -> None:
        self.statuses: Counter[tuple[str, int]] = Counter()
        self._server = server
        self._rng = random.Random(seed)
        self._folder = folder
        self._client = server.client(follow_redirects=True)
        self._files = [*samples.gallery().values(), *map(Path.read_bytes, files)]
        self._acknowledged: dict[str, bytes] = {}
        self._templates = templates()
        self._steps = 0

    def close(self) -> None:
        self._client.close()

    def step(self) -> None:
        """One request, and now and then a look at what was stored."""
        actions = (
            *(self._store_file, self._store_file, self._store_body, self._store_metadata),
            *(self._orthanc_store, self._read_route, self._read_route, self._read_route),
            *(self._render, self._transcode, self._by_uri, self._find, self._search, self._delete),
            *(self._present, self._bare_bytes),
        )
        self._rng.choice(actions)()
        self._steps += 1
        if self._steps % CHECKED_EVERY == 0:
            self.check_one()

    def check_one(self) -> None:
        """Something that was acknowledged is there, byte for byte."""
        if self._acknowledged:
            self._check(self._rng.choice(sorted(self._acknowledged)))

    def check_all(self) -> None:
        """Everything that was acknowledged is."""
        for path in self._acknowledged:
            self._check(path)

    def _check(self, path: str) -> None:
        answer = self._client.get(path, headers={"Accept": AS_STORED})
        if answer.content != self._acknowledged[path]:
            raise Broken(f"{path} was acknowledged, and is {answer.status_code} now")

    def _ask(self, method: str, url: str, **request: Any) -> httpx2.Response | None:
        action = url if len(url) < 200 else url[:200] + "…"
        try:
            built = self._client.build_request(method, url, **request)
        except (ValueError, TypeError, UnicodeError, httpx2.InvalidURL):
            return None  # no client can send this
        try:
            answer = self._client.send(built)
        except (httpx2.LocalProtocolError, httpx2.TooManyRedirects):
            return None
        except httpx2.TransportError as error:
            raise Broken(f"{method} {action}: {error!r}{self._evidence(built)}") from error
        self.statuses[method, answer.status_code] += 1
        failed = answer.status_code >= 500 and answer.status_code not in EXPECTED_FAILURES
        if failed or b"Traceback (most recent" in answer.content:
            said = f"{answer.status_code} {answer.text[:300]}"
            raise Broken(f"{method} {action}: {said}{self._evidence(built)}")
        return answer

    def _evidence(self, request: httpx2.Request) -> str:
        """Where the body that broke it lies, to be tried again."""
        body = self._folder / "body.bin"
        body.write_bytes(request.read())
        return f"\nheaders: {dict(request.headers)}\nbody: {body}"

    def _file(self) -> bytes:
        """A file, mostly damaged."""
        content = self._rng.choice(self._files)
        if self._rng.random() < 0.15:
            return content
        if self._rng.random() < 0.1:
            return spliced(self._rng, content, self._rng.choice(self._files))
        return damaged(self._rng, content)

    def _store_file(self) -> None:
        """STOW of files, whose bytes must come back where they are acknowledged."""
        files = [self._file() for _ in range(self._rng.choice((1, 1, 1, 3)))]
        files = [content for content in files if wire.BOUNDARY.encode() not in content]
        body, headers = wire.multipart(*files)
        answer = self._ask(
            "POST", "/dicom-web/studies", content=body, headers={**headers, "Accept": "*/*"}
        )
        if answer is not None and answer.status_code in (200, 202) and len(files) == 1:
            (item,) = wire.items(answer.json(), "00081199")
            self._remember(httpx2.URL(wire.value(item, "00081190")).raw_path.decode(), files[0])

    def _remember(self, path: str, content: bytes) -> None:
        if len(self._acknowledged) < REMEMBERED:
            self._acknowledged[path] = content

    def _store_body(self) -> None:
        """STOW of a body that is damaged itself."""
        body, headers = wire.multipart(self._rng.choice(self._files), self._file())
        if self._rng.random() < 0.2:
            headers["Content-Type"] = damaged(self._rng, headers["Content-Type"].encode()).decode(
                "latin-1"
            )
        content = damaged(self._rng, body)
        self._ask("POST", "/dicom-web/studies", content=content, headers=_sendable(headers))

    def _store_metadata(self) -> None:
        """STOW of metadata and bulk data."""
        good = metadata_of(samples.gallery()[self._rng.choice(DESCRIBED)])
        kind, document = "application/dicom+xml", to_xml(good)
        if self._rng.random() < 0.6:
            dataset: Any = good
            for _ in range(self._rng.randint(0, 3)):
                dataset = altered(self._rng, dataset)
            kind, document = "application/dicom+json", json.dumps([dataset]).encode()
        if self._rng.random() < 0.3 or kind.endswith("xml"):
            document = damaged(self._rng, document)
        pixels_type = self._rng.choice((*ACCEPTED, "video/mp4", "image/jxl"))
        pixels = self._rng.choice((b"", b"\0" * 512, samples.jpeg()[-3000:]))
        body = b"".join(
            f"--{BOUNDARY}\r\nContent-Type: {each}\r\nContent-Location: bulk/1\r\n\r\n".encode()
            + content + b"\r\n"
            for each, content in ((kind, document), (pixels_type, pixels))
        )  # fmt: skip
        content_type = f'multipart/related; type="{kind}"; boundary={BOUNDARY}'
        self._ask(
            "POST", "/dicom-web/studies", content=body + f"--{BOUNDARY}--\r\n".encode(),
            headers={"Content-Type": content_type, "Accept": self._rng.choice(ACCEPTED)},
        )  # fmt: skip

    def _orthanc_store(self) -> None:
        """Orthanc's way: a file, a zip, a packed one or a form."""
        content, headers = self._file(), {}
        way = self._rng.randrange(6)
        if way == 0:
            content = samples.zipped({f"{number}.dcm": self._file() for number in range(2)})
            content = damaged(self._rng, content, 2) if self._rng.random() < 0.5 else content
        elif way == 1:
            content, headers = gzip.compress(content), {"Content-Encoding": "gzip"}
            content = damaged(self._rng, content, 2) if self._rng.random() < 0.5 else content
        elif way == 2:
            disposition = 'Content-Disposition: form-data; name="file"; filename="a.dcm"'
            head = f"--{BOUNDARY}\r\n{disposition}\r\n\r\n".encode()
            content = damaged(self._rng, head + content + f"\r\n--{BOUNDARY}--\r\n".encode(), 2)
            headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
        answer = self._ask("POST", "/instances", content=content, headers=headers)
        if way > 2 and answer is not None and answer.status_code == 200:
            found = answer.json()
            if isinstance(found, dict) and found["Status"] == "Success":
                self._remember(f"/instances/{found['ID']}/file", content)

    def _instance(self) -> tuple[str, str, str]:
        """The UIDs of something stored, as a URL has them."""
        paths = [path for path in self._acknowledged if path.startswith("/dicom-web")]
        if not paths:
            return "1", "1", "1"
        _, study, _, series, _, instance = self._rng.choice(sorted(paths)).split("/")[2:]
        return study, series, instance

    def _values(self) -> dict[str, str]:
        study, series, instance = self._instance()
        ids = [path.split("/")[2] for path in self._acknowledged if path.startswith("/instances")]
        return {
            "study": study, "series": series, "instance": instance,
            "frame_list": self._rng.choice(("1", "1,2", "2,1", "9", "0", "x")),
            "frame_index": self._rng.choice(("0", "1", "-1")),
            "path": self._rng.choice(("7FE00010", "00420011", "54000100/0/54001010", "x")),
            "collection": self._rng.choice(("patients", "studies", "series", "instances")),
            "identifier": self._rng.choice(sorted(ids) or ["x"]),
            "relation": self._rng.choice(("patient", "study", "series", "instances", "module")),
            "kind": self._rng.choice(("preview", "rendered", "image-uint8", "image-int16")),
            "upload_id": "x", "result_id": "x", "name": "ReceptionDate",
        }  # fmt: skip

    def _url(self, template: str) -> str:
        values = {
            name: escaped(self._rng, word(self._rng)) if self._rng.random() < 0.05 else text
            for name, text in self._values().items()
        }
        return template.format(**values)

    def _query(self, *, most: int = 4) -> str:
        pairs = (
            f"{self._rng.choice(PARAMETERS)}={escaped(self._rng, word(self._rng))}"
            for _ in range(self._rng.randrange(most + 1))
        )
        return "&".join(pairs)

    def _headers(self) -> dict[str, str]:
        headers = {"Accept": self._accept()}
        if self._rng.random() < 0.3:
            headers[self._rng.choice(HEADERS)] = word(self._rng)
        if self._rng.random() < 0.2:
            headers["Range"] = f"bytes={self._rng.randrange(2000)}-{self._rng.randrange(4000)}"
        return _sendable(headers)

    def _accept(self) -> str:
        if self._rng.random() < 0.4:
            return "*/*"
        media_type = self._rng.choice(ACCEPTED)
        syntax = self._rng.choice(("", "*", *KNOWN))
        suffix = f"; transfer-syntax={syntax}" if syntax else ""
        if self._rng.random() < 0.4:
            media_type = f'multipart/related; type="{media_type}"'
        return media_type + (suffix if self._rng.random() < 0.5 else "")

    def _read_route(self) -> None:
        """Any resource, with any parameters and headers."""
        url = self._url(self._rng.choice(self._templates))
        method = self._rng.choice(("GET",) * 8 + ("HEAD", "OPTIONS"))
        self._ask(method, f"{url}?{self._query()}", headers=self._headers())

    def _place(self) -> str:
        study, series, instance = self._instance()
        return f"/dicom-web/studies/{study}/series/{series}/instances/{instance}"

    def _render(self) -> None:
        """A picture of what is stored."""
        view = self._rng.choice(
            ("rendered", "thumbnail", "frames/1/rendered", "frames/2/thumbnail")
        )
        query = self._query(most=2) if self._rng.random() < 0.7 else ""
        media_type = self._rng.choice(ACCEPTED[:4])
        self._ask("GET", f"{self._place()}/{view}?{query}", headers={"Accept": media_type})

    def _present(self) -> None:
        """An image with a presentation state in which something is odd."""
        label = "presented"
        state: Any = metadata_of(busy_state(label)) | {"00080018": _uid(f"state {self._steps}")}
        del state["7FE00010"]
        for _ in range(self._rng.randint(1, 4)):
            name = self._rng.choice([tag for tag in sorted(state) if tag[:4] != "0020"])
            state = {**state, name: altered(self._rng, state[name])}
        document = json.dumps([state]).encode()
        body, headers = wire.multipart(samples.ct(label))
        self._ask("POST", "/dicom-web/studies", content=body, headers=headers)
        body, headers = wire.multipart(document, media_type="application/dicom+json")
        answer = self._ask("POST", "/dicom-web/studies", content=body, headers=headers)
        if answer is not None and answer.status_code in (200, 202):
            (item,) = wire.items(answer.json(), "00081199")
            place = httpx2.URL(wire.value(item, "00081190")).raw_path.decode()
            query = self._query(most=2) if self._rng.random() < 0.3 else ""
            self._ask("GET", f"{place}/rendered?{query}", headers={"Accept": "image/png"})
            self._ask("DELETE", place)

    def _transcode(self) -> None:
        """What is stored in another transfer syntax, whole or a frame."""
        syntax = self._rng.choice(sorted(KNOWN))
        below = self._rng.choice(("", "", "/frames/1", "/pixeldata", "/bulkdata", "/metadata"))
        whole = f"application/dicom; transfer-syntax={syntax}"
        accept = whole if not below else self._accept()
        self._ask("GET", self._place() + below, headers={"Accept": accept})

    def _by_uri(self) -> None:
        """The URI service."""
        study, series, instance = self._instance()
        named = f"requestType=WADO&studyUID={study}&seriesUID={series}&objectUID={instance}"
        self._ask("GET", f"/wado?{named}&{self._query()}", headers=self._headers())

    def _search(self) -> None:
        """A search with any keys."""
        level = self._rng.choice(("studies", "series", "instances"))
        keys = (f"{self._rng.choice(KEYS)}={escaped(self._rng, word(self._rng))}" for _ in range(3))
        query = "&".join([*keys, self._query(most=2)])
        self._ask("GET", f"/dicom-web/{level}?{query}", headers=self._headers())

    def _find(self) -> None:
        """Orthanc's find and lookup."""
        question = {
            "Level": self._rng.choice(("Study", "Series", "Instance", "Patient", word(self._rng))),
            "Query": {self._rng.choice(KEYS): word(self._rng) for _ in range(2)},
            "Limit": self._rng.choice((0, 1, 5)), "Expand": self._rng.random() < 0.5,
        }  # fmt: skip
        if self._rng.random() < 0.6:
            question = altered(self._rng, question)
        if self._rng.random() < 0.2:
            question = value(self._rng)
        path = self._rng.choice(("/tools/find", "/tools/find", "/tools/lookup"))
        content = json.dumps(question).encode()
        if self._rng.random() < 0.1:
            content = damaged(self._rng, content)
        self._ask("POST", path, content=content)

    def _delete(self) -> None:
        """Something that is stored goes, now and then."""
        if self._rng.random() < 0.3 and self._acknowledged:
            path = self._rng.choice(sorted(self._acknowledged))
            if path.startswith("/dicom-web"):
                gone = self._acknowledged[path]
                self._ask("DELETE", path)
                # It may be known by Orthanc's id as well.
                kept = (item for item in self._acknowledged.items() if item[1] != gone)
                self._acknowledged = dict(kept)

    def _bare_bytes(self) -> None:
        """What no client sends, over a socket; the server may say nothing to it."""
        head = f"GET {self._place()}?{self._query()} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        more = self._rng.choice(("", "Content-Length: 5\r\n\r\nabcde", "Connection: close\r\n"))
        content = damaged(self._rng, f"{head}{more}\r\n".encode("utf-8", "replace"))
        with socket.create_connection(("127.0.0.1", self._server.port), timeout=5) as connection:
            connection.sendall(content)
            connection.shutdown(socket.SHUT_WR)
            try:
                answer = connection.recv(4096)
            except OSError:
                return
        if re.match(rb"HTTP/1.1 5\d\d", answer):
            raise Broken(f"{content!r}: {answer[:300]!r}")


def _uid(label: str) -> dict[str, Any]:
    return {"vr": "UI", "Value": [samples.uid(label)]}


def _sendable(headers: dict[str, str]) -> dict[str, Any]:
    """Without what clients refuse to send; what is not ASCII goes out as UTF-8."""
    return {
        name: "".join(c for c in text if c.isprintable()).strip().encode()
        for name, text in headers.items()
    }
