"""What every route needs of its request: the services and the address clients call us by."""

from typing import cast

from fastapi import Request

from lenticular.services import Services

DICOMWEB = "/dicom-web"


def services_of(request: Request) -> Services:
    """The services that the application was made with."""
    return cast("Services", request.app.state.services)


def root_url(request: Request) -> str:
    """Scheme, host and port as the client named them, or the configured public URL."""
    public_url = services_of(request).settings.public_url
    if public_url:
        return public_url.rstrip("/")
    host = request.headers.get("host") or "{}:{}".format(*(request.scope["server"] or ("", "")))
    return f"{request.url.scheme}://{host}{request.scope.get('root_path', '')}"


def base_url(request: Request) -> str:
    """The base URL of the DICOMweb service, without a slash at its end (PS3.18 8.2)."""
    return root_url(request) + DICOMWEB
