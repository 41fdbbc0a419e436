"""The viewer at /ohif/: OHIF's files, as `make viewer` has built them.

OHIF's pages have paths of their own, which only the browser knows: every path without a file is the
page. The addresses of the server and of the sign-in are written into the responses, not into files.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from lenticular.errors import NotFound, Unacceptable
from lenticular.services import Services
from lenticular.settings import Settings
from lenticular.web.request_context import root_url, services_of
from lenticular.web.responses.respond import entity_tag, not_modified
from lenticular.web.viewer.files import Files, Folder, ViewerFile, open_files

PATH = "/ohif"
PAGE = "index.html"
CONFIGURATION = "app-config.js"
OFF = (
    "This server has no viewer: LENTICULAR_VIEWER is empty. On AWS, set the parameter"
    " OidcClientId: a browser that opens a page cannot sign the request."
)
MISSING = (
    "The viewer is not here yet: `make viewer` fetches it, or LENTICULAR_VIEWER names the folder"
    " (on AWS its files are copied into the bucket; see docs/operations.md)."
)

_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".ico": "image/x-icon",
    ".js": "text/javascript",
    ".json": "application/json",
    ".jsonc": "application/json",
    ".map": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
    ".woff2": "font/woff2",
    ".xml": "application/xml",
}
# Its codecs generate code as they start ('wasm-unsafe-eval' is not enough for them). Requests go to
# this server, to the sign-in and to the bucket only.
_POLICY = "; ".join(
    [
        *("default-src 'self'", "script-src 'self' 'unsafe-inline' 'unsafe-eval'"),
        *("style-src 'self' 'unsafe-inline'", "img-src 'self' blob: data:"),
        *("font-src 'self' data:", "worker-src 'self' blob:"),
        *("object-src 'self' blob:", "frame-src 'self' blob:", "frame-ancestors 'self'"),
        "connect-src 'self' blob: data:",
    ]
)
_ALWAYS = {
    # The address of the study list holds the search: names of patients.
    "referrer-policy": "same-origin",
    "vary": "Accept-Encoding",
    "x-content-type-options": "nosniff",
}
_NAMED_BY_CONTENT = re.compile(r"[0-9a-f]{16}")
_A_DAY = "private, max-age=86400"
_ASK_FIRST = "private, no-cache"
_GZIP = re.compile(r"(?:^|[\s,])gzip\s*(?:,|$|;\s*q=(?!0(?:\.0*)?\s*(?:,|$)))", re.I)

router = APIRouter()


def has_viewer(settings: Settings) -> bool:
    """Return True if the folder has the viewer's files, or if a bucket is configured."""
    folder = settings.viewer
    return bool(folder) and (folder.startswith("s3://") or _has_page(Folder(Path(folder))))


def _has_page(files: Files) -> bool:
    """Return True if the folder holds the viewer's page."""
    return PAGE in files.named(PAGE)


def viewer(request: Request) -> Response:
    """Return a file of the viewer, or its page."""
    services = services_of(request)
    if not services.settings.viewer:
        raise NotFound(OFF)
    files = open_files(services)
    name = request.path_params.get("name") or PAGE
    found = files.named(name)
    if name not in found:
        if Path(name).suffix in _TYPES and _has_page(files):
            raise NotFound("The viewer has no file of this name.")
        name, found = PAGE, files.named(PAGE)
        if name not in found:
            raise NotFound(MISSING)
    if name in (PAGE, CONFIGURATION):
        return _made(request, files, found[name])
    packed = found.get(name + ".gz")
    if packed and _GZIP.search(request.headers.get("accept-encoding", "")):
        return _file(request, files, packed, {"content-encoding": "gzip"})
    return _file(request, files, found[name], {})


router.add_route(PATH, viewer, methods=["GET"], include_in_schema=False)
router.add_route(PATH + "/{name:path}", viewer, methods=["GET"], include_in_schema=False)


def _made(request: Request, files: Files, file: ViewerFile) -> Response:
    """Return the page or its configuration, with the addresses of this server."""
    root = urlsplit(root_url(request)).path
    content = files.read(file.name)
    if file.name == PAGE:
        content = content.replace(f'"{PATH}'.encode(), f'"{root}{PATH}'.encode())
    else:
        about = {"root": root, "signIn": _sign_in(services_of(request).settings)}
        content = f"const lenticular = {json.dumps(about)};\n".encode() + content
    headers = _headers(request, file.name, entity_tag(content))
    return _answer(request, headers, len(content), lambda: content)


def _file(request: Request, files: Files, file: ViewerFile, coding: dict[str, str]) -> Response:
    """Return a file as it is stored, compressed if the client accepts that."""
    ceiling = services_of(request).settings.payload_ceiling
    if ceiling and file.size > ceiling:
        raise Unacceptable(
            "This file is only available with Accept-Encoding: gzip; unpacked it exceeds the limit."
        )
    etag = entity_tag(file.name, file.size, file.changed_at)
    headers = _headers(request, file.name.removesuffix(".gz"), etag) | coding
    return _answer(request, headers, file.size, lambda: files.read(file.name))


def _answer(
    request: Request, headers: dict[str, str], size: int, read: Callable[[], bytes]
) -> Response:
    """Respond with a body, or 304 if the client has it."""
    if unchanged := not_modified(request, headers["etag"]):
        unchanged.headers.update(headers)
        return unchanged
    content = b"" if request.method == "HEAD" else read()
    return Response(content, headers=headers | {"content-length": str(size)})


def _headers(request: Request, name: str, etag: str) -> dict[str, str]:
    """Return the headers of a file of the viewer."""
    services = services_of(request)
    media_type = _TYPES.get(Path(name).suffix, "application/octet-stream")
    text = "; charset=utf-8" if media_type.startswith("text/") else ""
    return {
        **_ALWAYS,
        "content-security-policy": " ".join([_POLICY, *_elsewhere(services)]),
        "content-type": media_type + text,
        "etag": etag,
        "cache-control": _A_DAY if _NAMED_BY_CONTENT.search(name) else _ASK_FIRST,
    }


def _sign_in(settings: Settings) -> dict[str, str] | None:
    """Return OHIF's settings for the OIDC issuer, None without one."""
    if not settings.oidc_client:
        return None
    return {
        "issuer": settings.oidc_issuer,
        "client": settings.oidc_client,
        "scope": settings.oidc_scope,
        "audience": settings.oidc_audience,
    }


def _elsewhere(services: Services) -> list[str]:
    """Return the other origins that the pages may request: the issuer's and the bucket's."""
    settings = services.settings
    urls = [settings.oidc_issuer, *settings.oidc_origins.split(",")]
    if settings.payload_ceiling and services.bucket is not None:
        urls.append(services.bucket.presign(PAGE))
    parts = [urlsplit(url.strip()) for url in urls]
    return [f"{part.scheme}://{part.netloc}" for part in parts if part.netloc]
