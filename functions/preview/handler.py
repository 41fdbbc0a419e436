"""Pictures: rendered, thumbnail, WADO-URI and Orthanc's previews; and so with the codecs."""

import start  # isort: split

from collections.abc import Iterator
from typing import TYPE_CHECKING

from lenticular import settings
from lenticular.services import open_services
from lenticular.web.routes import rendered
from shared import http

if TYPE_CHECKING:
    from fastapi import APIRouter


def others() -> "Iterator[APIRouter]":
    """Return the routers of the URI service and of Orthanc's previews."""
    from lenticular.web.routes import wado_uri
    from lenticular.web.routes.orthanc import pictures

    yield wado_uri.router
    yield pictures.router


handler = http(open_services(settings.load()), [rendered.router], others)
start.finish()
