"""The values of an instance as its file has them, for the routes that show one instance.

The index keeps DICOM JSON, in which `5.00` is the number 5 and every text is Unicode. Orthanc shows
the text of the file, so its beginning is read again (docs/decisions/0031-texts-as-written.md).
"""

from lenticular.dicom.model import Dataset
from lenticular.dicom.read import part10
from lenticular.errors import InvalidInstance
from lenticular.index.records import LocatedInstance
from lenticular.services import Services
from lenticular.transactions.retrieve import instances
from lenticular.transactions.retrieve.byte_source import layout_content

MAX_READ = 16 * 1024 * 1024
"""Bytes of a file that are read for its texts; a longer head shows the values of the index."""

_LONGEST_HEADER = 12


def dataset_as_written(services: Services, located: LocatedInstance) -> Dataset:
    """Return the attributes of an instance, with each text as the file has it."""
    dataset = instances.dataset_of(services, located)
    written = _read(services, located)
    return {tag: written.get(tag, element) for tag, element in dataset.items()}


def _read(services: Services, located: LocatedInstance) -> Dataset:
    """Read the elements before the pixels; none when they are too long or damaged."""
    pixels = located.layout.pixels
    if pixels is not None and pixels.offset > MAX_READ:
        return {}
    content = layout_content(services, located.instance)
    end = content.size if pixels is None else pixels.offset
    if end > MAX_READ:
        return {}
    head = content.read(0, end)
    try:
        if pixels is not None:
            _, encoding = part10.data_set_start(head)
            head = head[: end - (_LONGEST_HEADER if encoding.explicit else 8)]
        return part10.read_as_written(head)
    except InvalidInstance:
        return {}
