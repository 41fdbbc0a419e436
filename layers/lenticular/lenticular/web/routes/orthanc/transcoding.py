"""Orthanc's `transcode`: files in another transfer syntax than they are stored in."""

from fastapi import Request
from starlette.responses import Response

from lenticular.dicom.transfer_syntaxes import (
    COMPRESSED,
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    KNOWN,
)
from lenticular.errors import InvalidRequest, NotRenderable, Unacceptable
from lenticular.index.records import StoredInstance
from lenticular.services import Services
from lenticular.transactions.retrieve.byte_source import file_content
from lenticular.transactions.retrieve.made_ahead import Made, Scratch
from lenticular.web.http.media_types import DICOM
from lenticular.web.request_context import services_of
from lenticular.web.responses import respond

_TARGETS = (EXPLICIT_VR_LITTLE_ENDIAN, DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN, *COMPRESSED)


def wanted_syntax(request: Request) -> str | None:
    """Return the transfer syntax that `transcode` names, None without it."""
    wanted = request.query_params.get("transcode")
    if wanted is None or wanted in _TARGETS:
        return wanted
    problem = "names no known transfer syntax" if wanted not in KNOWN else "is not possible here"
    raise InvalidRequest(f"`transcode={wanted}` {problem}; name one of {', '.join(_TARGETS)}.")


def made_or_stored(
    services: Services, instance: StoredInstance, syntax: str, scratch: Scratch
) -> Made:
    """Return the file transcoded; as it is stored if that is not possible, as Orthanc does."""
    if _is_to_be_made(instance, syntax):
        try:
            return _made(services, instance, syntax, scratch)
        except (NotRenderable, Unacceptable):
            pass
    return Made(file_content(services, instance).all, instance.size)


def transcoded_file(
    request: Request, instance: StoredInstance, syntax: str, file_name: str
) -> Response:
    """Respond with the file in a transfer syntax other than the stored one."""
    if not _is_to_be_made(instance, syntax):
        raise Unacceptable("The instance is not available in that transfer syntax.")
    services, etag = services_of(request), respond.entity_tag(instance.sha256, syntax)
    if unchanged := respond.not_modified(request, etag):
        return unchanged
    made = _made(services, instance, syntax, respond.scratch_for(request))
    return respond.stream(
        *(request, made.pieces(), DICOM), etag=etag, about=instance.size, file_name=file_name
    )


def _is_to_be_made(instance: StoredInstance, syntax: str) -> bool:
    """Return True if the instance can be transcoded and is stored in another syntax."""
    stored = KNOWN.get(instance.transfer_syntax_uid)
    can_change = stored is not None and not stored.is_video and not stored.is_referenced
    return can_change and syntax != instance.transfer_syntax_uid


def _made(services: Services, instance: StoredInstance, syntax: str, scratch: Scratch) -> Made:
    """Return the transcoded file."""
    from lenticular.transactions.retrieve.transcode import transcode

    return scratch.keep(transcode(services, instance, syntax).pieces())
