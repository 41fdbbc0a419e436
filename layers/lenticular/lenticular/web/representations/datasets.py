"""Responses that are datasets: DICOM JSON or the Native DICOM Model in XML, PS3.18 8.7.3.

JSON is one array. In XML each dataset is a document, and so a part of multipart/related (8.6.1.2);
a lone one goes out by itself to a client that names `application/dicom+xml` without multipart.

A media type is added in ARRAYS if many datasets are one body of it, or else in ENCODERS alone.
"""

import hashlib
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain

import orjson
from starlette.requests import Request
from starlette.responses import Response

from lenticular.dicom import tags
from lenticular.dicom.json_and_xml.xml_writer import to_xml
from lenticular.dicom.model import Dataset, Target
from lenticular.transactions.retrieve.omissions import Omissions
from lenticular.web.http.accept import Offer, accepted, choose
from lenticular.web.http.character_sets import require_utf_8
from lenticular.web.http.media_types import DICOM_JSON, DICOM_XML, JSON
from lenticular.web.http.multipart import Part
from lenticular.web.request_context import base_url, services_of
from lenticular.web.responses import respond


def _xml(document: bytes) -> bytes:
    """Return a document of DICOM JSON as XML."""
    return to_xml(orjson.loads(document))


ARRAYS = {DICOM_JSON: respond.JSON_ARRAY, JSON: respond.JSON_ARRAY}
"""The media types that hold many datasets in one array, and the marks of that array."""
ENCODERS = {DICOM_XML: _xml}
"""The media types other than JSON, and the functions that make a document of the DICOM JSON."""

OFFERS = [
    *(Offer(media_type) for media_type in ARRAYS),
    *(
        Offer(media_type, multipart=multipart)
        for media_type in ENCODERS
        if media_type not in ARRAYS
        for multipart in (True, False)
    ),
]


def negotiate(request: Request) -> Offer:
    """Return the media type in which this client accepts datasets; they are in UTF-8."""
    require_utf_8(request)
    return choose(accepted(request), OFFERS)


def answer(
    request: Request,
    documents: Iterable[bytes],
    offer: Offer,
    etag: str | None = None,
    omissions: Omissions | None = None,
) -> Response:
    """Respond with datasets that are JSON already, in the media type that was negotiated.

    `etag` is used if they are streamed; for few it is a hash of the content. `omissions` are
    noted while the documents are made.
    """
    if marks := ARRAYS.get(offer.media_type):
        encoded = _encoded(documents, offer.media_type)
        return respond.array(
            request, encoded, offer.media_type, etag, marks=marks, omissions=omissions
        )
    first, rest = _beginning(documents, services_of(request).limits.dataset_bytes)
    encode = partial(_part, offer.media_type, base_url(request))
    if rest is not None:
        if isinstance(documents, list):
            etag = respond.entity_tag(offer.media_type, respond.digest(documents))
        parts = map(encode, chain(first, rest))
        return respond.multipart(request, parts, offer.media_type, etag=etag, omissions=omissions)
    hashed = hashlib.sha256(b",".join(first)).digest()
    etag = respond.entity_tag(offer.media_type, offer.multipart, hashed)
    if len(first) == 1 and not offer.multipart and not omissions:
        body = ENCODERS[offer.media_type](first[0])
        return respond.content(request, body, offer.media_type, etag=etag)
    return respond.multipart(
        request, [*map(encode, first)], offer.media_type, etag=etag, omissions=omissions
    )


def answer_one(request: Request, dataset: Dataset, offer: Offer, status: int) -> Response:
    """Respond with one dataset, which in JSON is an object of its own."""
    document = orjson.dumps(dataset)
    if offer.multipart:
        parts = [_part(offer.media_type, None, document)]
        return respond.multipart(request, parts, offer.media_type, status=status)
    encode = ENCODERS.get(offer.media_type)
    body = encode(document) if encode else document
    return Response(body, status, media_type=offer.media_type)


def _encoded(documents: Iterable[bytes], media_type: str) -> Iterable[bytes]:
    """Return the documents in this media type; those of JSON as they are."""
    encode = ENCODERS.get(media_type)
    return map(encode, documents) if encode else documents


def _beginning(
    documents: Iterable[bytes], limit: int
) -> tuple[list[bytes], Iterator[bytes] | None]:
    """Return the first documents, and an iterator of the rest if all have more bytes, or None."""
    first: list[bytes] = []
    size = 0
    rest = iter(documents)
    for document in rest:
        first.append(document)
        size += len(document)
        if size > limit:
            return first, rest
    return first, None


def _part(media_type: str, service: str | None, document: bytes) -> Part:
    """Return the part of a multipart response that holds this document."""
    encoded = ENCODERS[media_type](document)
    location = None if service is None else _location(service, orjson.loads(document))
    return Part(media_type, partial(list, [encoded]), len(encoded), location)


def _location(service: str, dataset: Dataset) -> str:
    """Return the URL of a match, or of the metadata of an instance (PS3.18 8.4.3)."""
    if tags.RETRIEVE_URL in dataset:
        return str(dataset[tags.RETRIEVE_URL]["Value"][0])
    uids = (tags.STUDY_INSTANCE_UID, tags.SERIES_INSTANCE_UID, tags.SOP_INSTANCE_UID)
    target = Target(*(dataset[uid]["Value"][0] for uid in uids))
    return f"{service}/{target.path}/metadata"
