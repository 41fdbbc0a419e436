"""Store and delete, by DICOMweb and by Orthanc's REST: writes files and index."""

import start  # isort: split

from collections.abc import Iterator
from typing import TYPE_CHECKING

from lenticular import settings
from lenticular.services import open_services
from lenticular.web.routes import delete, stow
from shared import http, only, writes

if TYPE_CHECKING:
    from fastapi import APIRouter


def others() -> "Iterator[APIRouter]":
    """Yield the writing routes of Orthanc's REST, and uploads above the payload limit."""
    from lenticular.web.routes import orthanc, uploads

    yield uploads.router
    yield only(orthanc.router, writes)


handler = http(open_services(settings.load()), [stow.router, delete.router], others)
start.finish()
