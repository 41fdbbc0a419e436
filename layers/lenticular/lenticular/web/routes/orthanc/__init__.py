"""The everyday part of Orthanc's REST, for scripts that were written for it.

Responses, keys and numbers are Orthanc's, so that such scripts work unchanged; see
docs/decisions/0008-orthancs-rest.md for where we differ and why.
"""

from fastapi import APIRouter

from lenticular.web.routes.orthanc import (
    aggregates,
    content,
    hierarchy,
    instances,
    pictures,
    system,
    upload,
)

router = APIRouter(tags=["Orthanc"])

# Side by side, not nested: each nested router is one more table to search for every request.
for _module in (hierarchy, instances, upload, system, pictures, aggregates, content):
    router.routes.extend(_module.router.routes)
