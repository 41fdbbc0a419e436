"""Rendered representations: pictures, documents, videos and reports, PS3.18 8.7.4.

Each category of instance has its media types; the first is the default.
"""

from collections.abc import Callable
from functools import partial

from fastapi import Request
from starlette.responses import Response

from lenticular import __version__
from lenticular.index.records import LocatedInstance
from lenticular.pixels.picture_formats import IN_DICOMWEB
from lenticular.pixels.render_options import RenderOptions, unknown_annotations
from lenticular.transactions.render import prepare, resource_category
from lenticular.transactions.render.cached_render import render
from lenticular.transactions.render.render_request import RenderRequest
from lenticular.transactions.render.resource_category import ResourceCategory
from lenticular.transactions.retrieve import instances
from lenticular.transactions.retrieve.instances import BulkData
from lenticular.web.http.accept import Offer, charsets_of
from lenticular.web.http.character_sets import choose_character_set
from lenticular.web.http.media_types import HTML, PDF, PLAIN_TEXT, TEXT_XML, shown
from lenticular.web.representations import sr_page
from lenticular.web.request_context import base_url, services_of
from lenticular.web.responses import respond
from lenticular.web.responses.omission_warnings import warn_of

Answer = Callable[[Offer, RenderOptions], Response]


class Rendition:
    """An instance to be rendered: its media types, and the response in one of them."""

    def __init__(self, request: Request, located: LocatedInstance) -> None:
        self._request = request
        self._located = located
        self.media_types: tuple[str, ...] = ()
        self._answer: Answer = self._picture
        self.category = resource_category.category_of(located)
        self._choose(self.category)

    def _choose(self, category: ResourceCategory) -> None:
        """Choose the media types of the category, and the method that responds with them."""
        services = services_of(self._request)
        if category in (
            ResourceCategory.PICTURE,
            ResourceCategory.WAVEFORM,
            ResourceCategory.PRESENTATION,
        ):
            self.media_types = IN_DICOMWEB
        elif category in (ResourceCategory.DOCUMENT, ResourceCategory.VIDEO):
            find = (
                resource_category.document
                if category is ResourceCategory.DOCUMENT
                else resource_category.video
            )
            data = find(services, self._located)
            self.media_types, self._answer = (data.media_type,), partial(self._as_it_is, data)
        elif category is ResourceCategory.REPORT:
            self.media_types, self._answer = (HTML, PLAIN_TEXT, TEXT_XML), self._report
        else:
            resource_category.refuse_to_show(self._located)

    def answer(self, offer: Offer, options: RenderOptions) -> Response:
        """Respond with the instance in the media type that was chosen."""
        return self._answer(offer, options)

    def _picture(self, _: Offer, options: RenderOptions) -> Response:
        """Respond with a picture."""
        return picture(self._request, self._located, None, options)

    def _as_it_is(self, data: BulkData, offer: Offer, _: RenderOptions) -> Response:
        """Respond with a document or a video as it is stored."""
        etag = respond.entity_tag(self._located.instance.sha256, "rendered", offer.media_type)
        response = respond.content(
            self._request,
            data.content.pieces,
            offer.media_type,
            size=data.content.size,
            etag=etag,
        )
        # The sender chose its type; a browser must not run what it may hold.
        return _harmless(response, "" if offer.media_type == PDF else "sandbox")

    def _report(self, offer: Offer, _: RenderOptions) -> Response:
        """Respond with the page of a report."""
        request, located = self._request, self._located
        dicomweb, character_set = (
            base_url(request),
            choose_character_set(request, charsets_of(request, offer.media_type)),
        )
        etag = respond.entity_tag(
            __version__, located.instance.sha256, offer.media_type, character_set, dicomweb
        )
        if unchanged := respond.not_modified(request, etag):
            return unchanged
        dataset = instances.dataset_of(services_of(request), located)
        if offer.media_type == PLAIN_TEXT:
            page = sr_page.as_text(dataset, character_set)
        else:
            write = sr_page.as_html if offer.media_type == HTML else sr_page.as_xml
            page = write(dataset, dicomweb, character_set)
        media_type = f"{offer.media_type}; charset={character_set}"
        return _harmless(respond.content(request, page, media_type, etag=etag), sr_page.POLICY)


def picture(
    request: Request, located: LocatedInstance, frame_number: int | None, options: RenderOptions
) -> Response:
    """Respond with a picture of an instance or of a frame, unless the client has it."""
    return drawn(request, prepare.prepare(services_of(request), located, frame_number, options))


def drawn(request: Request, drawing: RenderRequest) -> Response:
    """Respond with the picture of a render request, unless the client has it."""
    if unchanged := respond.not_modified(request, drawing.etag):
        return unchanged
    made = render(drawing)
    return respond.content(request, made.body, made.media_type, etag=made.etag)


def warn_of_annotations(request: Request, response: Response) -> Response:
    """Warn of keywords of `annotation` that are ignored (PS3.18 8.3.5.1.1)."""
    parameters = request.query_params
    text = parameters.get("annotation", parameters.get("imageAnnotation", ""))
    if names := unknown_annotations(text):
        sentence = f"The annotations {shown(', '.join(names))} are unknown and ignored."
        return warn_of(request, response, [sentence])
    return response


def _harmless(response: Response, policy: str) -> Response:
    """Return the response with headers that keep a browser from running its content."""
    response.headers["x-content-type-options"] = "nosniff"
    if policy:
        response.headers["content-security-policy"] = policy
    return response
