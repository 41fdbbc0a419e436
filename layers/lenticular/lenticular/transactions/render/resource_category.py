"""The resource categories of PS3.18 8.7.2: what can be rendered of an instance.

Told by its storage class and its layout, which the index has at hand; documents and videos are
handed on as they are.
"""

from enum import StrEnum
from typing import NoReturn

from lenticular.dicom import tags
from lenticular.dicom.model import PixelLayout
from lenticular.dicom.transfer_syntaxes import lookup
from lenticular.errors import NotRenderable
from lenticular.index.records import LocatedInstance
from lenticular.pixels.dataset_values import content
from lenticular.pixels.presentation.softcopy_state import APPLICABLE
from lenticular.services import Services
from lenticular.transactions.retrieve import frames, instances
from lenticular.transactions.retrieve.byte_source import ByteSource
from lenticular.transactions.retrieve.instances import BulkData

_STORAGE = "1.2.840.10008.5.1.4.1.1."


class ResourceCategory(StrEnum):
    """The resource category of an instance."""

    PICTURE = "picture"
    VIDEO = "video"
    WAVEFORM = "waveform"
    DOCUMENT = "document"
    REPORT = "report"
    PRESENTATION = "presentation"
    NOTHING = "nothing"


_BY_CLASS = {
    "9": ResourceCategory.WAVEFORM,
    "88": ResourceCategory.REPORT,
    "104": ResourceCategory.DOCUMENT,
}
"""By what follows the root of the storage classes; also Key Object Selections are reports."""


def category_of(located: LocatedInstance) -> ResourceCategory:
    """Return the resource category of an instance."""
    pixels, instance = located.layout.pixels, located.instance
    if pixels is not None and pixels.number_of_frames >= 1:
        video = lookup(instance.transfer_syntax_uid).is_video
        return ResourceCategory.VIDEO if video else ResourceCategory.PICTURE
    if not instance.sop_class_uid.startswith(_STORAGE):
        return ResourceCategory.NOTHING
    if instance.sop_class_uid in APPLICABLE:
        return ResourceCategory.PRESENTATION
    kind = instance.sop_class_uid.removeprefix(_STORAGE).partition(".")[0]
    return _BY_CLASS.get(kind, ResourceCategory.NOTHING)


def picture_pixels(located: LocatedInstance) -> PixelLayout:
    """Return the layout of the frames of an instance that has some to show."""
    pixels = located.layout.pixels
    if pixels is None:
        raise NotRenderable("The instance holds no pixels, so there is nothing to show.")
    frames.require_frames(located)
    if category_of(located) is ResourceCategory.VIDEO:
        syntax = lookup(located.instance.transfer_syntax_uid)
        raise NotRenderable(f"Frames of a video ({syntax.name}) cannot be rendered.")
    return pixels


def refuse_to_show(located: LocatedInstance) -> NoReturn:
    """Raise the reason for which nothing can be shown of the instance."""
    if located.layout.pixels is not None:
        frames.require_frames(located)
    raise NotRenderable("The instance holds nothing that can be shown as a picture or text.")


def document(services: Services, located: LocatedInstance) -> BulkData:
    """Return the encapsulated document: a PDF, a clinical document, a model."""
    if tags.ENCAPSULATED_DOCUMENT in located.layout.bulkdata:
        return instances.bulk_data(services, located, tags.ENCAPSULATED_DOCUMENT)
    dataset = instances.dataset_of(services, located)  # a short one is in its dataset
    short = ByteSource.of(content(dataset, tags.ENCAPSULATED_DOCUMENT, lambda _: b""))
    if not short.size:
        raise NotRenderable("The instance holds no document.")
    return instances.document(short, 0, short.size, dataset)


def video(services: Services, located: LocatedInstance) -> BulkData:
    """Return the video as one stream, as PS3.5 8.2 has it, without any DICOM."""
    media_type = lookup(located.instance.transfer_syntax_uid).media_type
    return BulkData(frames.whole_pixel_data(services, located), media_type)
