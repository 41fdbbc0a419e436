"""Query parameters and paths of Orthanc's REST, and its JSON."""

from enum import StrEnum
from typing import Any

import orjson
from fastapi import Request
from starlette.convertors import Convertor, register_url_convertor
from starlette.responses import Response

from lenticular import errors
from lenticular.dicom.model import Level
from lenticular.dicom.orthanc_tags import Style, full, short, simplified
from lenticular.dicom.search_attributes import path_of
from lenticular.transactions.render.render_request import PictureKind
from lenticular.web.http.media_types import JSON
from lenticular.web.responses import respond

LARGEST = 2**63 - 1


class Collection(StrEnum):
    """The first segment of a path: a level in the plural."""

    PATIENTS = "patients"
    STUDIES = "studies"
    SERIES = "series"
    INSTANCES = "instances"

    @property
    def level(self) -> Level:
        """The level of the resources in the collection."""
        return _LEVELS[self]


_LEVELS = dict(zip(Collection, Level, strict=True))


class Relation(StrEnum):
    """The last segment of a path from one level to another: singular up, plural down."""

    PATIENT = "patient"
    STUDY = "study"
    STUDIES = "studies"
    SERIES = "series"
    INSTANCES = "instances"

    @property
    def level(self) -> Level:
        """The level to which the relation leads."""
        return _LEADS_TO[self]


_LEADS_TO = {
    Relation.PATIENT: Level.PATIENT,
    Relation.STUDY: Level.STUDY,
    Relation.STUDIES: Level.STUDY,
    Relation.SERIES: Level.SERIES,
    Relation.INSTANCES: Level.INSTANCE,
}


class _Choice(Convertor[str]):
    def __init__(self, choices: type[StrEnum]) -> None:
        self.regex = "|".join(choices)  # type: ignore[misc]

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


# Other services have paths of two segments too, so only these words are allowed here.
register_url_convertor("collection", _Choice(Collection))
register_url_convertor("relation", _Choice(Relation))
register_url_convertor("picture", _Choice(PictureKind))

_DESCRIPTIONS = {
    "accept": "The media type of the picture, instead of the Accept header.",
    "expand": "Describe each of the list; `false` gives the identifiers.",
    "filename": "The name under which a browser saves the file.",
    "full": "Tags with name, type and value.",
    "height": "The largest height of the picture in pixels.",
    "ignore-length": "Tags or keywords whose values are shown however long they are.",
    "last": "Only the newest change.",
    "limit": "The largest number of results.",
    "quality": "The quality of a JPEG, from 1 to 100.",
    "short": "Tags with their values.",
    "simplify": "Names with values.",
    "since": "The results after this many, or the changes after this one.",
    "transcode": "The UID of the transfer syntax in which the files come.",
    "viewport": "The box to fit into, and the region (PS3.18 8.3.5.1.3).",
    "width": "The largest width of the picture in pixels.",
    "window": "Centre, width and function of the window (PS3.18 8.3.5.1.4).",
    "window-center": "The centre of the window; with `window-width`.",
    "window-width": "The width of the window; with `window-center`.",
}
STYLES = ("full", "short", "simplify")


def takes(*names: str) -> dict[str, Any]:
    """Return the OpenAPI description of these query parameters; others are refused."""
    return {
        "parameters": [
            {
                "name": name,
                "in": "query",
                "description": _DESCRIPTIONS[name],
                "schema": {"type": "string"},
                "allowEmptyValue": True,
            }
            for name in names
        ]
    }


COLLECTION = "/{collection:collection}"
RESOURCE = COLLECTION + "/{identifier}"
INSTANCE = "/instances/{identifier}"


def answer(content: Any) -> Response:
    """Respond with JSON."""
    return Response(orjson.dumps(content), media_type=JSON)


def large_answer(request: Request, content: Any) -> Response:
    """Respond with JSON of any size."""
    return respond.document(request, orjson.dumps(content), JSON)


def has(request: Request, name: str) -> bool:
    """Return True if a flag is set, as `?expand`; `?expand=false` clears it."""
    value = request.query_params.get(name)
    return value is not None and value.lower() not in ("false", "0")


def tag_style(request: Request, default: Style) -> Style:
    """Return the style of tags: `?full`, `?short`, `?simplify`, or the default of the path."""
    for name, style in (("simplify", simplified), ("short", short), ("full", full)):
        if has(request, name):
            return style
    return default


def untruncated_tags(request: Request) -> frozenset[str]:
    """Return the tags of `ignore-length`, which names them by number or keyword."""
    named = filter(None, request.query_params.get("ignore-length", "").split(","))
    tags = set()
    for name in named:
        path = path_of(name.strip().replace("-", ","))
        if path is None or len(path) > 1:
            raise errors.InvalidRequest(f"`ignore-length`: Unknown DICOM tag: {name[:80]}")
        tags.add(path[0])
    return frozenset(tags)


def file_name(request: Request, default: str) -> str:
    """Return the name that `filename` gives to a download."""
    return request.query_params.get("filename") or default


def number(request: Request, name: str) -> int | None:
    """Return a parameter that is a whole number; a negative one counts as zero."""
    text = request.query_params.get(name)
    if text is None:
        return None
    try:
        return max(0, min(int(text), LARGEST))
    except ValueError:
        raise errors.MalformedParameter(f"The parameter {name!r} should be a number.") from None


def window(request: Request) -> tuple[int, int | None]:
    """Return `since` and `limit` of a list."""
    since, limit = number(request, "since"), number(request, "limit")
    for name, given, other in (("since", since, limit), ("limit", limit, since)):
        if given is None and other is not None:
            raise errors.InvalidRequest(f'Missing "{name}": since and limit go together.')
    return since or 0, limit
