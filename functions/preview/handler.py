"""Pictures: rendered, thumbnail and Orthanc's previews; the only function with the codecs."""

from lenticular import settings
from lenticular.services import open_services
from lenticular.web.routes import rendered
from lenticular.web.routes.orthanc import pictures
from shared import http

handler = http(open_services(settings.load()), [rendered.router, pictures.router])
