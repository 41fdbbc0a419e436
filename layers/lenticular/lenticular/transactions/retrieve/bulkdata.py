"""All bulk data (PS3.18 10.4.1.1.5) or all pixels (10.4.1.1.6) of a study, a series or an instance.

Instances are looked up one after the other, so a study of any size takes no more memory than one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lenticular.dicom import tags
from lenticular.dicom.model import Layout
from lenticular.dicom.read.element_encoding import ITEM_BYTES
from lenticular.dicom.transfer_syntaxes import OCTET_STREAM, lookup
from lenticular.index.records import LocatedInstance, StoredInstance
from lenticular.services import Services
from lenticular.transactions.retrieve import instances as retrieve
from lenticular.transactions.retrieve import reread
from lenticular.transactions.retrieve.frames import joined_fragments
from lenticular.transactions.retrieve.instances import BulkData


@dataclass(frozen=True, slots=True)
class Value:
    """A value that the metadata only refers to: its path in the BulkDataURI, and its size there."""

    located: LocatedInstance
    path: str
    size: int

    @property
    def is_pixels(self) -> bool:
        """True if the value is the Pixel Data, which has frames."""
        pixels = self.located.layout.pixels
        return pixels is not None and pixels.tag == self.path


def values(
    services: Services, instances: Sequence[StoredInstance], *, pixels_only: bool
) -> Iterator[Value]:
    """Yield the values of these instances, as far as they are still there."""
    for instance in instances:
        if pixels_only and not instance.number_of_frames:
            continue
        located = reread.locate(services, instance.target)
        if located is None:
            continue  # deleted in the meantime
        for path, size in _sizes(located.layout, pixels_only):
            yield Value(located, path, size)


def media_type_of(services: Services, value: Value) -> str:
    """Return the media type of a value, without reading it."""
    is_known = value.path in value.located.layout.bulkdata
    if is_known and value.path != tags.ENCAPSULATED_DOCUMENT and not _may_be_fragments(value):
        return OCTET_STREAM
    return read(services, value).media_type


def read(services: Services, value: Value) -> BulkData:
    """Return the value, as long as it is not the pixels of the instance, and what it is.

    Pixels of an icon are encapsulated where those of the instance are (PS3.5 A.4); what the
    fragments hold goes out without their heads, as it does for any other pixels.
    """
    found = retrieve.bulk_data(services, value.located, value.path)
    if not _may_be_fragments(value) or found.content.read(0, len(ITEM_BYTES)) != ITEM_BYTES:
        return found
    stream = joined_fragments(found.content, 0, found.content.size, skip=1)
    return BulkData(stream, lookup(value.located.instance.transfer_syntax_uid).media_type)


def _may_be_fragments(value: Value) -> bool:
    syntax = lookup(value.located.instance.transfer_syntax_uid)
    return syntax.encapsulated and value.path.rpartition("/")[2] == tags.PIXEL_DATA


def _sizes(layout: Layout, pixels_only: bool) -> Iterator[tuple[str, int]]:
    if not pixels_only:
        for path, (_, length, _) in layout.bulkdata.items():
            yield path, length
    if layout.pixels is not None:
        yield layout.pixels.tag, layout.pixels.length
