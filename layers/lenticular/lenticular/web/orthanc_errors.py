"""Errors in the shape of Orthanc's REST, whose clients look at HttpStatus and OrthancStatus.

The numbers and their sentences are Orthanc's; `Details` is ours and says what is wrong here.
"""

from http import HTTPStatus

import orjson
from fastapi import Request
from starlette.responses import Response

from lenticular import errors
from lenticular.web.http.media_types import JSON

INTERNAL = (-1, "Internal error")
UNKNOWN_RESOURCE = (17, "Unknown resource")

# The first class that matches counts, so special ones come before general ones.
CODES: dict[type[errors.LenticularError], tuple[int, str]] = {
    errors.MalformedParameter: (5, "Bad type for a parameter"),
    errors.InvalidRequest: (8, "Bad request"),
    errors.InvalidInstance: (15, "Bad file format"),
    errors.NotFound: (7, "Accessing an inexistent item"),
    errors.TooLarge: (3, "Parameter out of range"),
    errors.NotRenderable: (23, "Incompatible format of the images"),
    errors.UnsupportedMedia: (23, "Incompatible format of the images"),
    errors.Unacceptable: (
        34,
        "Cannot send a response which is acceptable according to the Accept HTTP header",
    ),
    errors.RangeUnsatisfiable: (41, "Incorrect range request"),
    errors.StorageFull: (19, "The file storage is full"),
}
GENERAL: dict[HTTPStatus, tuple[int, str]] = {
    HTTPStatus.NOT_FOUND: UNKNOWN_RESOURCE,
    HTTPStatus.METHOD_NOT_ALLOWED: (8, "Bad request"),
    HTTPStatus.UNAUTHORIZED: (29, "Bad credentials or not authorized"),
    HTTPStatus.FORBIDDEN: (29, "Bad credentials or not authorized"),
    HTTPStatus.INTERNAL_SERVER_ERROR: INTERNAL,
}


def code_of(error: errors.LenticularError) -> tuple[int, str] | None:
    """Return Orthanc's number and sentence for one of our errors."""
    return next(
        (code for error_class, code in CODES.items() if isinstance(error, error_class)), None
    )


def orthanc_error(
    request: Request,
    status: HTTPStatus,
    detail: str,
    headers: dict[str, str] | None = None,
    code: tuple[int, str] | None = None,
) -> Response:
    """Return an error as Orthanc's clients expect it."""
    number, sentence = code or GENERAL.get(status, (8, "Bad request"))
    body = {
        "Details": detail,
        "HttpError": status.phrase,
        "HttpStatus": status.value,
        "Message": sentence,
        "Method": request.method,
        "OrthancError": sentence,
        "OrthancStatus": number,
        "Uri": request.url.path,
    }
    return Response(orjson.dumps(body), status, headers, media_type=JSON)
