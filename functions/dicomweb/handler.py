"""Search, metadata, retrieve and Orthanc's browsing: reads files and index, and writes neither."""

from lenticular import settings
from lenticular.services import open_services
from lenticular.web.routes import orthanc, qido, service, wado_rs
from lenticular.web.routes.orthanc import pictures
from shared import http, only, writes

browsing = only(
    orthanc.router, lambda route: not writes(route) and route not in pictures.router.routes
)
handler = http(
    open_services(settings.load()),
    [qido.router, wado_rs.router, service.router, browsing],
)
