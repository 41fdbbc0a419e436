"""Search, metadata, retrieve and Orthanc's browsing: reads files and index, and writes neither."""

import start  # isort: split

from collections.abc import Iterator
from typing import TYPE_CHECKING

from lenticular import settings
from lenticular.services import open_services
from lenticular.web.routes import bulkdata, health, instance_changes, qido, query_tags, wado_rs
from shared import http, only, writes

if TYPE_CHECKING:
    from fastapi import APIRouter


def browsing() -> "Iterator[APIRouter]":
    """Yield the reading routes of Orthanc's REST except pictures, deferred results, the viewer."""
    from lenticular.web.routes import capabilities, deferred_results, orthanc
    from lenticular.web.routes.orthanc import pictures
    from lenticular.web.viewer import pages

    drawn = pictures.router.routes
    yield deferred_results.router
    yield capabilities.router
    yield only(orthanc.router, lambda route: not writes(route) and route not in drawn)
    yield pages.router


# The client library of a bucket takes longer to import than most searches to be answered.
services = open_services(settings.load(), storage_later=True)
modules = (qido, query_tags, wado_rs, bulkdata, instance_changes, health)
routers = [module.router for module in modules]
handler = http(services, routers, browsing)
start.finish()
