"""What the server says of itself: whether it is well, and where to look."""

from fastapi import APIRouter, Request

from lenticular import __version__
from lenticular.web.context import services_of

router = APIRouter(tags=["Service"])


@router.head("/health", include_in_schema=False)
@router.get("/health")
def health(request: Request) -> dict[str, str]:
    """Whether the server and its index answer."""
    services_of(request).index.ping()
    return {"status": "ok", "version": __version__}
