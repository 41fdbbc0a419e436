"""The application: routers, errors and access control put together."""

from collections.abc import Iterable

from fastapi import APIRouter, FastAPI

from lenticular import __version__
from lenticular.services import Services
from lenticular.web.access import AccessControl
from lenticular.web.context import DICOMWEB
from lenticular.web.errors import add_error_handlers
from lenticular.web.logs import AccessLog

DESCRIPTION = "DICOMweb (PS3.18) at /dicom-web, and the everyday part of Orthanc's REST at /."


def create_app(services: Services, routers: Iterable[APIRouter] | None = None) -> FastAPI:
    """The application that answers these routers; all there are when none are given."""
    app = FastAPI(
        title="Lenticular",
        version=__version__,
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
    )
    app.state.services = services
    for router in all_routers() if routers is None else routers:
        app.include_router(router)
    if routers is None:
        _add_reference(app)
    add_error_handlers(app)
    app.add_middleware(AccessControl, settings=services.settings)
    app.add_middleware(AccessLog)
    return app


def all_routers() -> list[APIRouter]:
    """Every router, in the order in which they are asked; the services of PS3.18 share a prefix."""
    from lenticular.web.routes import delete, orthanc, qido, rendered, service, stow, wado_rs

    dicomweb = APIRouter(prefix=DICOMWEB)
    for module in (qido, stow, wado_rs, rendered, delete):
        dicomweb.include_router(module.router)
    return [dicomweb, service.router, orthanc.router]


def _add_reference(app: FastAPI) -> None:
    """Serve the API reference at /docs with its scripts from here: hospitals have no internet."""
    from fastapi_swagger import patch_fastapi

    patch_fastapi(app, docs_url="/docs")
