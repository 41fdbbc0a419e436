"""Retrieve transaction (WADO-RS), PS3.18 10.4: instances, their metadata and bulk data.

Frames have a file of their own, `frames.py`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import NoReturn

import orjson

from lenticular.dicom import tags
from lenticular.dicom.model import BULKDATA_BASE, Dataset, Target
from lenticular.dicom.transfer_syntaxes import OCTET_STREAM
from lenticular.errors import Gone, NotFound
from lenticular.index.records import LocatedInstance, StoredInstance
from lenticular.services import Services
from lenticular.transactions.retrieve import reread
from lenticular.transactions.retrieve.byte_source import (
    ByteSource,
    layout_content,
    little_endian,
    word_bytes,
)
from lenticular.transactions.retrieve.reread import Omit

# It becomes a header, so nothing else may be in it.
_MEDIA_TYPE = re.compile(r"[a-z0-9][\w.+-]{0,126}/[a-z0-9][\w.+-]{0,126}", re.ASCII | re.I)


@dataclass(frozen=True, slots=True)
class BulkData:
    """A value that is too large for the metadata, and what it is."""

    content: ByteSource
    media_type: str


def find(services: Services, target: Target) -> list[StoredInstance]:
    """Return the instances of a study or a series, or the instance; at least one."""
    return services.index.retrieval.find(target) or _raise_not_found(services, target)


def locate(services: Services, target: Target) -> LocatedInstance:
    """Return an instance, with the positions of its frames and bulk data."""
    return reread.locate(services, target) or _raise_not_found(services, target)


def metadata(
    services: Services, target: Target, base_url: str, omit: Omit | None = None
) -> Iterator[bytes]:
    """Return the DICOM JSON of each instance, with BulkDataURIs of this URL (PS3.18 10.4.1.1.2)."""
    documents = reread.documents(services, target, omit)
    first = next(documents, None) or _raise_not_found(services, target)
    # These bytes occur nowhere else: within a JSON string the quotation marks would be escaped.
    stored = b'"BulkDataURI":"' + BULKDATA_BASE.encode()
    served = b'"BulkDataURI":' + orjson.dumps(base_url)[:-1] + b"/"
    return (document.replace(stored, served) for document in chain([first], documents))


def dataset_of(services: Services, located: LocatedInstance) -> Dataset:
    """Return the attributes of an instance."""
    document = next(reread.documents(services, located.instance.target), None)
    if document is None:
        _raise_not_found(services, located.instance.target)
    dataset: Dataset = orjson.loads(document)
    return dataset


def bulk_data(services: Services, located: LocatedInstance, path: str) -> BulkData:
    """Return the value at a path such as `54000100/0/54001010`; pixel data is not among them."""
    place = located.layout.bulkdata.get(path)
    if place is None:
        raise NotFound(f"Instance {located.instance.sop_instance_uid} has no bulk data at {path}.")
    offset, length, vr = place
    whole = layout_content(services, located.instance)
    if path == tags.ENCAPSULATED_DOCUMENT:
        return document(whole, offset, length, dataset_of(services, located))
    word = word_bytes(located.instance.transfer_syntax_uid, vr)
    return BulkData(little_endian(whole, offset, length, word), OCTET_STREAM)


def document(whole: ByteSource, offset: int, length: int, dataset: Dataset) -> BulkData:
    """Return an encapsulated document without its padding, of the type that it says it has."""
    exact = _first(dataset, tags.ENCAPSULATED_DOCUMENT_LENGTH)  # Encapsulated Document Length
    if isinstance(exact, int) and exact == length - 1:
        length = exact
    declared = str(
        _first(dataset, tags.MIME_TYPE_OF_ENCAPSULATED_DOCUMENT)
    )  # MIME Type of Encapsulated Document
    media_type = declared.lower() if _MEDIA_TYPE.fullmatch(declared) else OCTET_STREAM
    return BulkData(little_endian(whole, offset, length, 1), media_type)


def _first(dataset: Dataset, tag: str) -> object:
    values = dataset.get(tag, {}).get("Value")
    return values[0] if values else None


def _raise_not_found(services: Services, target: Target) -> NoReturn:
    """Raise NotFound for an unknown part of the path, Gone if it was deleted (PS3.18 8.5)."""
    study, series, sop = (
        target.study_instance_uid,
        target.series_instance_uid,
        target.sop_instance_uid,
    )
    if services.index.instance_changes.has_deleted(target):
        raise Gone("What this path names was deleted.")
    if not _exists(services, Target(study)):
        raise NotFound(f"No study with Study Instance UID {study} is stored.")
    if series and not _exists(services, Target(study, series)):
        raise NotFound(f"That study has no series with Series Instance UID {series}.")
    raise NotFound(f"That series has no instance with SOP Instance UID {sop}.")


def _exists(services: Services, target: Target) -> bool:
    return next(services.index.retrieval.documents(target, lambda _: b""), None) is not None
