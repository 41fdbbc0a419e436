"""The viewer at /ohif/: OHIF's files, as `make viewer` has built them.

OHIF's pages have addresses of their own, made up in the browser: whatever is no file is its page.
"""

import re
from functools import lru_cache
from pathlib import Path

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from lenticular.errors import NotFound
from lenticular.web.context import services_of
from lenticular.web.responses import entity_tag, not_modified

PATH = "/ohif"
PAGE = "index.html"
MISSING = (
    "The viewer is not here yet: `make viewer` fetches it, or LENTICULAR_VIEWER names the folder."
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
# Its codecs make code of their own as they start ('wasm-unsafe-eval' is not enough for them), and
# no request needs to leave for elsewhere.
_POLICY = "; ".join(
    [
        *("default-src 'self'", "script-src 'self' 'unsafe-inline' 'unsafe-eval'"),
        *("style-src 'self' 'unsafe-inline'", "img-src 'self' blob: data:"),
        *("font-src 'self' data:", "connect-src 'self' blob: data:", "worker-src 'self' blob:"),
        *("object-src 'self' blob:", "frame-src 'self' blob:", "frame-ancestors 'self'"),
    ]
)
_ALWAYS = {
    "content-security-policy": _POLICY,
    # The address of the study list holds what is searched for: names of patients.
    "referrer-policy": "same-origin",
    "vary": "Accept-Encoding",
    "x-content-type-options": "nosniff",
}
_NAMED_BY_CONTENT = re.compile(r"[0-9a-f]{16}")
_A_DAY = "private, max-age=86400"
_ASK_FIRST = "private, no-cache"
_GZIP = re.compile(r"(?:^|[\s,])gzip\s*(?:,|$|;\s*q=(?!0(?:\.0*)?\s*(?:,|$)))", re.I)


def add_viewer(app: FastAPI) -> None:
    """Serve the viewer too."""
    for path in (PATH, PATH + "/{name:path}"):
        app.add_route(path, viewer, methods=["GET"], include_in_schema=False)


def is_built(folder: Path) -> bool:
    """Whether the viewer is in this folder."""
    return (folder / PAGE).is_file()


def viewer(request: Request) -> Response:
    """A file of the viewer, or its page."""
    files = _files_in(services_of(request).settings.viewer)
    name = request.path_params.get("name", "")
    if name not in files:
        if Path(name).suffix in _TYPES:
            raise NotFound("The viewer has no file of this name.")
        name = PAGE
    packed = name + ".gz"
    is_packed = packed in files and bool(_GZIP.search(request.headers.get("accept-encoding", "")))
    return _file(request, name, files[packed if is_packed else name], is_packed=is_packed)


def _file(request: Request, name: str, path: Path, *, is_packed: bool) -> Response:
    about = path.stat()
    etag = entity_tag(name, about.st_size, about.st_mtime_ns, is_packed)
    is_lasting = bool(_NAMED_BY_CONTENT.search(name))
    headers = {**_ALWAYS, "etag": etag, "cache-control": _A_DAY if is_lasting else _ASK_FIRST}
    if unchanged := not_modified(request, etag):
        unchanged.headers.update(headers)
        return unchanged
    if is_packed:
        headers["content-encoding"] = "gzip"
    media_type = _TYPES.get(Path(name).suffix, "application/octet-stream")
    return FileResponse(path, headers=headers, media_type=media_type, stat_result=about)


def _files_in(folder: Path) -> dict[str, Path]:
    try:
        return _listed(folder, (folder / PAGE).stat().st_mtime_ns)
    except FileNotFoundError:
        raise NotFound(MISSING) from None


@lru_cache(maxsize=1)
def _listed(folder: Path, moment: int) -> dict[str, Path]:
    """The files there are, by their names: what is looked up here leads nowhere else."""
    return {
        path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()
    }
