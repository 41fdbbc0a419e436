"""The URI service (WADO-URI), PS3.18 9: one instance, as DICOM or rendered.

Its query parameters have names of their own. Pictures are made as those of rendered resources.
"""

from fastapi import APIRouter, Request
from starlette.datastructures import QueryParams
from starlette.responses import Response

from lenticular.dicom import uids
from lenticular.dicom.model import Level, Target
from lenticular.dicom.transfer_syntaxes import (
    COMPRESSED,
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    KNOWN,
    NOT_USED_IN_WEB_SERVICES,
)
from lenticular.errors import InvalidRequest, NotFound, NotRenderable, Unacceptable
from lenticular.index.records import LocatedInstance, StoredInstance
from lenticular.pixels.picture_formats import IN_DICOMWEB, JPEG
from lenticular.pixels.uri_options import PARAMETERS, parse_uri_options
from lenticular.services import Services
from lenticular.transactions.render import prepare
from lenticular.transactions.retrieve import instances
from lenticular.transactions.retrieve.byte_source import file_content
from lenticular.transactions.search import parse_query
from lenticular.web.dicomweb_route import DicomwebRoute
from lenticular.web.http.accept import Accept, Offer, accepted, choose, is_strict, parse_ranges
from lenticular.web.http.character_sets import ANY, UTF_8, character_sets
from lenticular.web.http.media_types import DICOM
from lenticular.web.reading_routes import get_and_head
from lenticular.web.representations.renditions import (
    Rendition,
    drawn,
    picture,
    warn_of_annotations,
)
from lenticular.web.request_context import services_of
from lenticular.web.responses import respond

_UIDS = ("studyUID", "seriesUID", "objectUID")
_NATIVE = (EXPLICIT_VR_LITTLE_ENDIAN, DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN)


class UriRoute(DicomwebRoute):
    """A route that knows the parameters of the URI service."""

    parameters = DicomwebRoute.parameters.union(
        _UIDS,
        PARAMETERS,
        ("requestType", "contentType", "anonymize", "frameNumber", "transferSyntax"),
    )


router = APIRouter(tags=["WADO-URI"], route_class=UriRoute)


@get_and_head(router, "/wado")
def retrieve_by_uri(request: Request) -> Response:
    """Retrieve an instance: `?requestType=WADO&studyUID=…&seriesUID=…&objectUID=…`."""
    return warn_of_annotations(request, _retrieve(request))


def _retrieve(request: Request) -> Response:
    parameters = request.query_params
    target = _target(services_of(request), parameters)
    _refuse_what_is_not_done(parameters)
    state = _presentation_state(parameters, target)
    located = instances.locate(services_of(request), target)
    if is_strict(request):
        _refuse_what_is_lenient(parameters, located)
    frame_number = _frame_number(parameters, located)
    rendition = _rendition(request, located)
    shown = () if rendition is None else rendition.media_types
    recode = _asks_for_utf_8(parameters)
    objects = (Offer(DICOM, syntax) for syntax in _syntaxes(parameters, located, recode=recode))
    offer = choose(_accept(request), [*map(Offer, shown), *objects])
    if offer.media_type == DICOM or rendition is None:
        _refuse_of_objects(parameters)
        if recode and UTF_8 not in character_sets(parameters):
            raise InvalidRequest("`charset` must include UTF-8; objects are recoded to no other.")
        return _object(request, located.instance, offer, recode=recode)
    _refuse_of_renditions(parameters)
    options = parse_uri_options(parameters, offer.media_type)
    if state is not None:
        _refuse_beside_a_state(parameters)
        return drawn(
            request, prepare.prepare_with_state(services_of(request), located, state, options)
        )
    if offer.media_type in IN_DICOMWEB:
        return picture(request, located, frame_number, options)
    return rendition.answer(offer, options)


def _target(services: Services, parameters: QueryParams) -> Target:
    """Return the instance that is named (PS3.18 9.1.2.1), as in Orthanc also by `objectUID` alone.

    Raises NotFound if no instance or more than one has that SOP Instance UID.
    """
    if parameters.get("requestType") != "WADO":
        raise InvalidRequest("`requestType` must be WADO.")
    if parameters.get("objectUID") and not {"studyUID", "seriesUID"} & set(parameters):
        return _target_of_object(services, parameters["objectUID"])
    named = [parameters.get(name, "") for name in _UIDS]
    for name, uid in zip(_UIDS, named, strict=True):
        if problem := uids.problem_of(uid):
            raise InvalidRequest(f"`{name}` is missing." if not uid else f"`{name}` {problem}.")
    return Target(*named)


def _target_of_object(services: Services, sop_instance_uid: str) -> Target:
    """Return the only instance of this SOP Instance UID."""
    if problem := uids.problem_of(sop_instance_uid):
        raise InvalidRequest(f"`objectUID` {problem}.")
    query, _ = parse_query(
        Level.INSTANCE, None, [("SOPInstanceUID", sop_instance_uid), ("limit", "2")]
    )
    matches = services.index.searcher.search(query).matches
    if len(matches) != 1:
        several = "several instances have" if matches else "no instance has"
        raise NotFound(f"In the archive {several} this `objectUID`; give studyUID and seriesUID.")
    return matches[0].target


def _refuse_what_is_not_done(parameters: QueryParams) -> None:
    """Refuse `anonymize`, so that no instance is mistaken for an anonymous one."""
    anonymize = parameters.get("anonymize")
    if anonymize not in (None, "yes"):
        raise InvalidRequest("`anonymize` must be yes, or be left out.")
    if anonymize is not None:
        raise Unacceptable(
            "Objects are not anonymized here: their pixels would have to be inspected, too (PS3.15"
            " Annex E). Retrieve it as it is, and anonymize it with a tool made for it."
        )


def _presentation_state(parameters: QueryParams, target: Target) -> Target | None:
    """Return the presentation state to apply (PS3.18 9.5.1.2.7)."""
    named = [parameters.get(f"presentation{level}UID") for level in ("Series", "")]
    if named == [None, None]:
        return None
    if any(uid is None or uids.problem_of(uid) for uid in named):
        raise InvalidRequest("`presentationSeriesUID` and `presentationUID` must be two UIDs.")
    return Target(target.study_instance_uid, *named)


def _refuse_what_is_lenient(parameters: QueryParams, located: LocatedInstance) -> None:
    """Refuse what PS3.18 8.7.3 and 9.5.2.1 do, and what is answered if not strict."""
    if parameters.get("transferSyntax") in NOT_USED_IN_WEB_SERVICES:
        raise Unacceptable("This transfer syntax is not used in web services.")
    if "frameNumber" in parameters and located.instance.number_of_frames <= 1:
        raise InvalidRequest("`frameNumber` applies to instances of several frames.")


def _frame_number(parameters: QueryParams, located: LocatedInstance) -> int | None:
    """Return the frame that is asked for (PS3.18 9.5.1.2.1)."""
    text = parameters.get("frameNumber")
    if text is None:
        return None
    last = max(located.instance.number_of_frames, 1)
    if not text.isdecimal() or len(text) > 10 or not 1 <= int(text) <= last:
        raise InvalidRequest(f"`frameNumber` must be a number from 1 to {last}.")
    return int(text)


def _rendition(request: Request, located: LocatedInstance) -> Rendition | None:
    """Return the rendition of the instance; None if it cannot be rendered."""
    try:
        return Rendition(request, located)
    except NotRenderable:
        return None


def _accept(request: Request) -> Accept:
    """Return the accepted media types; `contentType` goes before the header (9.1.2.2.1)."""
    content_type = request.query_params.get("contentType")
    if content_type is None:
        return accepted(request)
    return (parse_ranges(content_type.replace("image/jpg", JPEG) or "*/*"),)


def _asks_for_utf_8(parameters: QueryParams) -> bool:
    """Return True if text should be in UTF-8 (PS3.18 9.1.2.2.2)."""
    named = character_sets(parameters)
    return bool(named) and ANY not in named


def _syntaxes(parameters: QueryParams, located: LocatedInstance, *, recode: bool) -> list[str]:
    """Return the transfer syntaxes that are possible; by default uncompressed (PS3.18 9.4.2.4)."""
    stored = located.instance.transfer_syntax_uid
    known = KNOWN.get(stored)
    can_change = known is not None and not known.is_video and not known.is_referenced
    possible = (
        [EXPLICIT_VR_LITTLE_ENDIAN, stored, *_NATIVE, *COMPRESSED] if can_change else [stored]
    )
    if recode:  # frames that are compressed already would have to be compressed again
        possible = list(_NATIVE) if can_change else []
    wanted = parameters.get("transferSyntax")
    if wanted is None:
        return possible
    if wanted == "*":
        is_offered = stored in possible and stored not in NOT_USED_IN_WEB_SERVICES
        return [stored] if is_offered else possible
    if not uids.is_valid(wanted):
        raise InvalidRequest("`transferSyntax` must be a UID or *.")
    if wanted not in possible:
        raise Unacceptable("The instance is not available in that transfer syntax.")
    return [wanted]


def _refuse_of_objects(parameters: QueryParams) -> None:
    """Refuse the parameters of pictures for a response that is DICOM."""
    given = [name for name in PARAMETERS if name in parameters]
    if given or "frameNumber" in parameters:
        name = (*given, "frameNumber")[0]
        raise InvalidRequest(f"`{name}` applies to pictures, and this response would be {DICOM}.")


def _refuse_beside_a_state(parameters: QueryParams) -> None:
    """Refuse what the presentation state decides: frame, region and window (PS3.18 9.5.2.3)."""
    for name in ("frameNumber", "region", "windowCenter", "windowWidth"):
        if name in parameters:
            raise InvalidRequest(f"`{name}` cannot be given beside `presentationUID`.")


def _refuse_of_renditions(parameters: QueryParams) -> None:
    """Refuse a transfer syntax for a picture."""
    if "transferSyntax" in parameters:
        raise InvalidRequest(f"`transferSyntax` applies only to contentType={DICOM}.")


def _object(request: Request, instance: StoredInstance, offer: Offer, *, recode: bool) -> Response:
    """Respond with the instance as a DICOM file (PS3.18 9.4)."""
    stored = instance.transfer_syntax_uid
    syntax = offer.transfer_syntax_uid or stored
    is_default = request.query_params.get("transferSyntax", "*") == "*"
    if syntax == stored and not recode:
        return _stored(request, instance)
    try:
        return _made(request, instance, syntax, recode=recode)
    except (NotRenderable, Unacceptable):
        # What cannot be decoded here, the client may be able to.
        if is_default and not recode:
            return _stored(request, instance)
        raise


def _stored(request: Request, instance: StoredInstance) -> Response:
    """Respond with the file as it is stored."""
    content = file_content(services_of(request), instance)
    return respond.content(
        request,
        content.pieces,
        str(Offer(DICOM, instance.transfer_syntax_uid)),
        size=content.size,
        etag=respond.entity_tag(instance.sha256),
        stored_key=content.key,
    )


def _made(request: Request, instance: StoredInstance, syntax: str, *, recode: bool) -> Response:
    """Respond with the file transcoded, or with its texts in UTF-8."""
    from lenticular.dicom.write.reencode import in_utf_8
    from lenticular.transactions.retrieve.transcode import transcode

    edit = in_utf_8 if recode else None
    made = transcode(services_of(request), instance, syntax, edit)
    etag = respond.entity_tag(instance.sha256, made.transfer_syntax_uid, recode)
    content_type = str(Offer(DICOM, made.transfer_syntax_uid))
    if request.method == "HEAD":
        return respond.stream(request, iter(()), content_type, etag=etag, about=instance.size)
    pieces = respond.scratch_for(request).keep(made.pieces()).pieces
    return respond.stream(request, pieces(), content_type, etag=etag, about=instance.size)
