"""Single elements of an instance, as Orthanc's `/content` walks through them.

A path alternates tags and, within sequences, indices from 0: `0040-0275/0/ScheduledStepID`.
"""

import base64
from collections.abc import Sequence
from typing import Any

from lenticular.dicom import tags
from lenticular.dicom.model import Dataset
from lenticular.dicom.orthanc_tags import orthanc_tag, short
from lenticular.dicom.search_attributes import path_of
from lenticular.errors import NotFound
from lenticular.index.records import LocatedInstance, StoredInstance
from lenticular.services import Services
from lenticular.transactions.orthanc.file_texts import dataset_as_written
from lenticular.transactions.retrieve import frames, instances
from lenticular.transactions.retrieve.byte_source import ByteSource

_PIXELS = frozenset({tags.FLOAT_PIXEL_DATA, tags.DOUBLE_FLOAT_PIXEL_DATA, tags.PIXEL_DATA})


def content_at(
    services: Services, instance: StoredInstance, path: Sequence[str]
) -> list[str] | ByteSource:
    """Return what is at a path: the names below it, or a value."""
    located = instances.locate(services, instance.target)
    dataset = dataset_as_written(services, located)
    walked: list[str] = []
    rest = list(path)
    while rest:
        tag = _tag(rest.pop(0))
        element = dataset.get(tag)
        if element is None:
            raise NotFound("There is no such element.")
        walked.append(tag)
        if tag in _PIXELS and len(walked) == 1:
            return _pixels(services, located, rest)
        if element["vr"] != "SQ":
            return _value(services, located, walked, element, rest)
        items = element.get("Value", [])
        if not rest:
            return [str(index) for index in range(len(items))]
        index = _index(rest.pop(0), len(items))
        walked.append(str(index))
        dataset = items[index] or {}
    return [orthanc_tag(tag).replace(",", "-") for tag in dataset]


def _pixels(
    services: Services, located: LocatedInstance, rest: list[str]
) -> list[str] | ByteSource:
    if frames.pixels_of(located).encapsulated:
        raise NotFound("The pixels are compressed; /frames/0/raw has the first frame.")
    if not rest:
        return ["0"]
    if rest != ["0"]:
        raise NotFound("There is no such fragment.")
    return frames.whole_pixel_data(services, located)


def _value(
    services: Services,
    located: LocatedInstance,
    walked: list[str],
    element: dict[str, Any],
    rest: list[str],
) -> ByteSource:
    if rest:
        raise NotFound("The path continues below an element that is not a sequence.")
    if "BulkDataURI" in element:
        return instances.bulk_data(services, located, "/".join(walked)).content
    if "InlineBinary" in element:
        return ByteSource.of(base64.b64decode(element["InlineBinary"]))
    tag = walked[-1]
    one: Dataset = {tag: element}
    (text,) = short(one, frozenset(one)).values()
    return ByteSource.of((text or "").encode())


def _tag(name: str) -> str:
    path = path_of(name.replace("-", ","))
    if path is None or len(path) > 1:
        raise NotFound("There is no such element.")
    return path[0]


def _index(text: str, size: int) -> int:
    if not text.isascii() or not text.isdigit() or int(text) >= size:
        raise NotFound(f"There is no such item; there are {size}, the first is 0.")
    return int(text)
