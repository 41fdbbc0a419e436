"""The API reference at /docs. Its scripts are served from here: hospitals have no internet.

Its links are relative, so that they hold behind a proxy's path.
"""

import base64
import hashlib
from importlib import resources

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from lenticular.errors import NotFound
from lenticular.web.http.media_types import HTML
from lenticular.web.request_context import root_url

router = APIRouter(include_in_schema=False)

FILES = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "favicon-32x32.png": "image/png",
}
START = """SwaggerUIBundle({
  url: "openapi.json", dom_id: "#swagger-ui", deepLinking: true, tryItOutEnabled: true,
  filter: true, displayRequestDuration: true
})"""
PAGE = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Lenticular API</title>
<link rel="icon" href="swagger/favicon-32x32.png">
<link rel="stylesheet" href="swagger/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="swagger/swagger-ui-bundle.js"></script>
<script>{START}</script>
</body>
</html>
"""
_DIGEST = base64.b64encode(hashlib.sha256(START.encode()).digest()).decode()
HEADERS = {
    "content-security-policy": "; ".join(
        [
            *("default-src 'none'", f"script-src 'self' 'sha256-{_DIGEST}'"),
            *("style-src 'self' 'unsafe-inline'", "img-src 'self' data: blob:"),
            *("connect-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"),
            "form-action 'none'",
        ]
    ),
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
}


@router.get("/")
def redirect_to_reference(request: Request) -> Response:
    """Redirect a browser that opens the server's address to the reference."""
    return RedirectResponse(f"{root_url(request)}/docs")


@router.get("/docs")
def reference() -> Response:
    """Return the page."""
    return Response(PAGE, headers=HEADERS, media_type=HTML)


@router.get("/swagger/{name}")
def reference_file(name: str) -> Response:
    """Return a script, style or icon of the page."""
    if name not in FILES:
        raise NotFound("The API reference has no file of this name.")
    content = resources.files("fastapi_swagger.resources").joinpath(name).read_bytes()
    return Response(content, headers=HEADERS, media_type=FILES[name])
