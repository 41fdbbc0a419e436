"""The application: routers, errors and access control put together."""

from collections.abc import Iterable

from fastapi import APIRouter, FastAPI
from starlette.routing import BaseRoute

from lenticular import __version__
from lenticular.services import Services
from lenticular.web.errors import add_error_handlers
from lenticular.web.http.empty_path_segments import PlainPaths
from lenticular.web.logs import AccessLog
from lenticular.web.routers import all_routers

DESCRIPTION = "DICOMweb (PS3.18) at /dicom-web, and the everyday part of Orthanc's REST at /."

EXPOSED_HEADERS = [
    *("Accept-Ranges", "Allow", "Content-Disposition", "Content-Location", "Content-Range"),
    *("Date", "ETag", "Location", "Preference-Applied", "Retry-After", "Vary", "Warning"),
]
"""Headers that a page may read, beside those it may always read (WHATWG Fetch 2.2.2)."""


def create_app(
    services: Services, routers: Iterable[APIRouter] | None = None, *, guarded: bool = True
) -> FastAPI:
    """Return the application that serves these routers, by default all.

    With `guarded=False` no credentials are checked, because API Gateway has done so.
    """
    app = FastAPI(
        title="Lenticular",
        version=__version__,
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        # PlainPaths serves such paths without a redirect.
        redirect_slashes=False,
        servers=[{"url": services.settings.public_url}] if services.settings.public_url else None,
    )
    app.state.services = services
    app.state.strict = services.settings.strict
    # For the methods of a path, which another function may serve on AWS.
    app.state.all_routers = all_routers
    if routers is None:
        from lenticular.web import api_reference

        routers = [*all_routers(), api_reference.router]
    add_routes(app, routers)
    add_error_handlers(app)
    if guarded:
        # The functions on AWS do not need it, and start sooner without it.
        from lenticular.web.access.control import AccessControl

        app.add_middleware(AccessControl, settings=services.settings, routes=app.routes)
    if services.settings.allowed_origins:
        _allow_origins(app, services.settings.allowed_origins)
    app.add_middleware(PlainPaths)
    app.add_middleware(AccessLog)
    return app


def add_routes(app: FastAPI, routers: Iterable[APIRouter]) -> None:
    """Add these routers to the application.

    Their routes are one list, which is searched from its beginning for every request: not nested,
    since a nested router is searched twice; routes that are seldom used come last.
    """
    routes = app.router.routes
    routes.extend(route for router in routers for route in router.routes)
    routes.sort(key=_is_seldom)


def _is_seldom(route: BaseRoute) -> bool:
    """Return True for a route of HEAD."""
    return getattr(route, "methods", None) == {"HEAD"}


def _allow_origins(app: FastAPI, origins: str) -> None:
    """Allow web pages of other origins to call and read (WHATWG Fetch 3.2), without cookies."""
    from starlette.middleware.cors import CORSMiddleware

    app.add_middleware(
        CORSMiddleware,
        allow_origins=[origin.strip() for origin in origins.split(",")],
        allow_methods=["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"],
        allow_headers=["*"],
        expose_headers=EXPOSED_HEADERS,
        max_age=7200,
    )
