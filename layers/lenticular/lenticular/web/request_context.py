"""The services of the application, and the base URL as the client of a request sees it."""

from typing import cast

from fastapi import Request

from lenticular.services import Services

DICOMWEB = "/dicom-web"


def services_of(request: Request) -> Services:
    """Return the services that the application was made with."""
    return cast("Services", request.app.state.services)


def root_url(request: Request) -> str:
    """Return scheme, host and port as the client named them, or the configured public URL."""
    public_url = services_of(request).settings.public_url
    if public_url:
        return public_url.rstrip("/")
    return f"{request.url.scheme}://{_host(request)}{request.scope.get('root_path', '')}"


def base_url(request: Request) -> str:
    """Return the base URL of the DICOMweb service, without a slash at its end (PS3.18 8.2)."""
    return root_url(request) + DICOMWEB


def _host(request: Request) -> str:
    """Return the host as the client named it, with our port where a direct client left it out.

    dicomweb-client does; without the port, the URLs of a response would lead elsewhere. Behind a
    proxy the host has another name than ours, and its port is not known.
    """
    address, port = request.scope.get("server") or ("", None)
    own = f"[{address}]" if ":" in address else address
    host = request.headers.get("host") or own
    is_direct = host in (own, "localhost")
    return f"{host}:{port}" if is_direct and port not in (None, 80, 443) else host
