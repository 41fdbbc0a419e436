"""Store and delete, by DICOMweb and by Orthanc's REST: writes files and index."""

from lenticular import settings
from lenticular.services import open_services
from lenticular.web.routes import delete, orthanc, stow
from shared import http, only, writes

handler = http(
    open_services(settings.load()),
    [stow.router, delete.router, only(orthanc.router, writes)],
)
