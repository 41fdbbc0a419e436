"""Errors as responses: one table of statuses, one shape for every body.

`{"error": "<status phrase>", "detail": "<a sentence>"}`; outside of DICOMweb it is Orthanc's shape
(`orthanc_errors.py`), which the clients there understand.
"""

import errno
import logging
from http import HTTPStatus

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import Match

from lenticular import errors
from lenticular.storage.protocol import Archived
from lenticular.web.http.media_types import JSON
from lenticular.web.logs import HUNG_UP
from lenticular.web.orthanc_errors import code_of, orthanc_error
from lenticular.web.request_context import DICOMWEB, root_url

log = logging.getLogger(__name__)

METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
ARCHIVED_SECONDS = 4 * 3600
ARCHIVED = (
    "The file was moved to an archive of the storage (S3 Glacier), from which it has to be restored"
    " before it can be read: ask the operator for it, and again in some hours."
)
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

STATUS: dict[type[errors.LenticularError], HTTPStatus] = {
    errors.InvalidRequest: HTTPStatus.BAD_REQUEST,
    errors.InvalidInstance: HTTPStatus.BAD_REQUEST,
    errors.NotFound: HTTPStatus.NOT_FOUND,
    errors.Gone: HTTPStatus.GONE,
    errors.Unacceptable: HTTPStatus.NOT_ACCEPTABLE,
    errors.NotRenderable: HTTPStatus.NOT_ACCEPTABLE,
    errors.Conflict: HTTPStatus.CONFLICT,
    errors.LengthRequired: HTTPStatus.LENGTH_REQUIRED,
    errors.TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.UnsupportedMedia: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    errors.RangeUnsatisfiable: HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
    errors.StorageFull: HTTPStatus.INSUFFICIENT_STORAGE,
    errors.Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.DamagedRow: HTTPStatus.INTERNAL_SERVER_ERROR,
}
# The rest is Orthanc's, and so are the errors there.
OF_OURS = (DICOMWEB, "/uploads", "/results", "/wado", "/ohif")


def status_of(error: errors.LenticularError) -> HTTPStatus:
    """Return the status of this refusal."""
    return next(STATUS[error_class] for error_class in type(error).__mro__ if error_class in STATUS)


def error_response(
    status: HTTPStatus, detail: str, headers: dict[str, str] | None = None
) -> Response:
    """Return an error in the shape that all errors have."""
    return Response(
        orjson.dumps({"error": status.phrase, "detail": detail}),
        status_code=status,
        headers=headers,
        media_type=JSON,
    )


def add_error_handlers(app: FastAPI) -> None:
    """Add the handlers that respond to every refusal and to every failure of the server."""
    app.add_exception_handler(errors.LenticularError, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(OSError, _failed)
    app.add_exception_handler(ClientDisconnect, _hung_up)
    app.add_exception_handler(Exception, _broken)


def _refused(request: Request, error: Exception) -> Response:
    """Respond to a refusal."""
    assert isinstance(error, errors.LenticularError)
    headers = {}
    if isinstance(error, errors.RangeUnsatisfiable):
        headers["Content-Range"] = f"bytes */{error.size}"
    if isinstance(error, errors.Unavailable):
        headers["Retry-After"] = str(error.retry_after)
    status = status_of(error)
    if status is HTTPStatus.GONE and not request.url.path.startswith(OF_OURS):
        status = HTTPStatus.NOT_FOUND  # as Orthanc answers
    return _answer(request, status, error.detail, headers, code_of(error))


def _invalid(request: Request, error: Exception) -> Response:
    """Respond to parameters that FastAPI refuses."""
    assert isinstance(error, RequestValidationError)
    locations = ", ".join(str(item["loc"][-1]) + ": " + item["msg"] for item in error.errors())
    return _answer(request, HTTPStatus.BAD_REQUEST, f"The request is malformed ({locations}).")


def _http(request: Request, error: Exception) -> Response:
    """Respond to what no route handles: another path, or another method."""
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    path = request.url.path
    detail, headers = str(error.detail), dict(error.headers or {})
    if status is HTTPStatus.NOT_FOUND:
        detail = f"There is nothing at {path}; {root_url(request)}/docs lists what there is."
    elif status is HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = allowed = ", ".join(_methods_of(request, request.scope["path"]))
        if request.method == "OPTIONS":  # which asks for the methods (RFC 9110 9.3.7)
            return Response(status_code=HTTPStatus.OK, headers=headers)
        detail = f"{request.method} is not allowed on {path}; allowed: {allowed}."
    return _answer(request, status, detail, headers)


def _failed(request: Request, error: Exception) -> Response:
    """Respond to an OSError: 507 if a disk is full, 503 if a remote storage fails, else 500.

    The disk may fill up while a body arrives, before it is stored. Errors without a number come
    from a remote storage.
    """
    assert isinstance(error, OSError)
    if isinstance(error, Archived):
        return _refused(request, errors.Unavailable(ARCHIVED, ARCHIVED_SECONDS))
    if error.errno is None and not isinstance(error, FileNotFoundError):
        log.error("%s %s failed: %s", request.method, request.url.path, error)
        detail = "The storage of the files does not answer now; try again in a moment."
        return _refused(request, errors.Unavailable(detail))
    if error.errno not in DISK_FULL:
        return _broken(request, error)
    log.error("%s %s failed: %s", request.method, request.url.path, error.strerror)
    return _refused(request, errors.StorageFull("The disk of the server is full."))


def _hung_up(request: Request, error: Exception) -> Response:
    """Return a response for the log only: the client has closed the connection."""
    return Response(status_code=HUNG_UP)


def _broken(request: Request, error: Exception) -> Response:
    """Respond 500, and log the error."""
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return _answer(
        request,
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "Something is wrong on the server; its log has the details.",
    )


def _answer(
    request: Request,
    status: HTTPStatus,
    detail: str,
    headers: dict[str, str] | None = None,
    code: tuple[int, str] | None = None,
) -> Response:
    """Return an error in the shape of DICOMweb or Orthanc, by the path."""
    if request.url.path.startswith(OF_OURS):
        return error_response(status, detail, headers)
    return orthanc_error(request, status, detail, headers, code)


def _methods_of(request: Request, path: str) -> list[str]:
    """Return the methods that a path allows: a method has a route of its own.

    On AWS another function may serve it, so every route counts.
    """
    everywhere = (route for router in request.app.state.all_routers() for route in router.routes)
    routes = [*request.app.routes, *everywhere]
    scope = {**request.scope, "path": path}
    return [
        method
        for method in METHODS
        if method == "OPTIONS"
        or any(route.matches({**scope, "method": method})[0] is Match.FULL for route in routes)
    ]
