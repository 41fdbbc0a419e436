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
