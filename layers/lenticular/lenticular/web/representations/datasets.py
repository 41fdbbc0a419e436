"""Answers that are datasets: DICOM JSON or the Native DICOM Model in XML, PS3.18 8.7.3.

JSON is one array. In XML each dataset is a document, and so a part of multipart/related (8.6.1.2);
a lone one goes out by itself to a client that names `application/dicom+xml` without multipart.
"""

import hashlib
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain

import orjson
from starlette.requests import Request
from starlette.responses import Response

from lenticular.dicom.exchange.xml_writer import to_xml
from lenticular.dicom.model import Dataset
from lenticular.web.http import responses
from lenticular.web.http.media_types import DICOM_JSON, DICOM_XML, JSON, Offer, accepted, choose
from lenticular.web.http.multipart import Part

OFFERS = [Offer(DICOM_JSON), Offer(JSON), Offer(DICOM_XML, multipart=True), Offer(DICOM_XML)]
ANSWERED_AT_ONCE = 1024 * 1024
"""Bytes of JSON up to which the XML is made before the answer begins, to know its size and tag."""


def negotiate(request: Request) -> Offer:
    """The form in which this client takes datasets."""
    return choose(accepted(request), OFFERS)


def answer(
    request: Request, documents: Iterable[bytes], offer: Offer, etag: str | None = None
) -> Response:
    """Datasets that are JSON already, in the form that was negotiated.

    The ETag is for those that are many; few are known by their content.
    """
    if offer.media_type != DICOM_XML:
        return responses.json_array(request, documents, offer.media_type, etag)
    first, rest = _beginning(documents)
    if not first:
        return Response(status_code=204)  # no multipart body is without a part (RFC 2046 5.1)
    if rest is not None:
        if isinstance(documents, list):
            etag = responses.entity_tag(DICOM_XML, responses.digest(documents))
        return responses.multipart(request, map(_part, chain(first, rest)), DICOM_XML, etag=etag)
    hashed = hashlib.sha256(b",".join(first)).digest()
    etag = responses.entity_tag(DICOM_XML, offer.multipart, hashed)
    if len(first) == 1 and not offer.multipart:
        return responses.content(request, _xml(first[0]), DICOM_XML, etag=etag)
    return responses.multipart(request, [_part(each) for each in first], DICOM_XML, etag=etag)


def answer_one(request: Request, dataset: Dataset, offer: Offer, status: int) -> Response:
    """One dataset, which in JSON is an object of its own."""
    if offer.media_type != DICOM_XML:
        return Response(orjson.dumps(dataset), status, media_type=offer.media_type)
    if offer.multipart:
        part = _part_of(to_xml(dataset))
        return responses.multipart(request, [part], DICOM_XML, status=status)
    return Response(to_xml(dataset), status, media_type=DICOM_XML)


def _beginning(documents: Iterable[bytes]) -> tuple[list[bytes], Iterator[bytes] | None]:
    """The first documents, and what is left when they are many."""
    first: list[bytes] = []
    size = 0
    rest = iter(documents)
    for document in rest:
        first.append(document)
        size += len(document)
        if size > ANSWERED_AT_ONCE:
            return first, rest
    return first, None


def _part(document: bytes) -> Part:
    return _part_of(_xml(document))


def _part_of(xml: bytes) -> Part:
    return Part(DICOM_XML, partial(list, [xml]), len(xml))


def _xml(document: bytes) -> bytes:
    return to_xml(orjson.loads(document))
