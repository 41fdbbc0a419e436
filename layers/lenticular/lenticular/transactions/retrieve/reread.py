"""Read again from its file what the index cannot give of an instance.

Documents and layouts are made of files, so a row that is damaged costs a reading of the file and
no more. Layouts of RLE that an earlier release wrote are recognised and made anew as well.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import orjson

from lenticular.dicom.model import ParsedInstance, Target
from lenticular.dicom.transfer_syntaxes import RLE_LOSSLESS
from lenticular.errors import DamagedRow, InvalidInstance, NotFound
from lenticular.index.records import LocatedInstance, StoredInstance
from lenticular.services import Services
from lenticular.transactions.retrieve.byte_source import file_content

log = logging.getLogger(__name__)

Omit = Callable[[StoredInstance, DamagedRow], None]
"""Called with an instance of which there is neither a document nor a file."""


def locate(services: Services, target: Target) -> LocatedInstance | None:
    """Return an instance, and where its frames and bulk data lie; None if it is not stored."""
    try:
        return services.index.retrieval.locate(target)
    except DamagedRow:
        return next(
            (
                LocatedInstance(instance, _parse(services, instance).layout)
                for instance in services.index.retrieval.find(target)
            ),
            None,
        )


def documents(services: Services, target: Target, omit: Omit | None = None) -> Iterator[bytes]:
    """Yield the DICOM JSON of each instance; without `omit`, DamagedRow ends it."""
    return services.index.retrieval.documents(target, partial(_document, services, omit))


def _document(services: Services, omit: Omit | None, instance: StoredInstance) -> bytes | None:
    try:
        return orjson.dumps(_parse(services, instance).dataset)
    except DamagedRow as error:
        if omit is None:
            raise
        omit(instance, error)
        return None


def with_whole_frames(services: Services, located: LocatedInstance) -> LocatedInstance:
    """Return the instance with another layout if frames of RLE were taken for single fragments.

    Earlier releases did so, against PS3.5 G.5. In their layouts, which are still in the index, the
    last frame ends before the pixel data does.
    """
    pixels = located.layout.pixels
    if located.instance.transfer_syntax_uid != RLE_LOSSLESS or pixels is None:
        return located
    try:
        last = services.index.retrieval.frame_ranges(located, [pixels.number_of_frames])
    except NotFound:  # frames that cannot be told from each other
        return located
    if sum(last[0]) == pixels.offset + pixels.length:
        return located
    return replace(located, layout=_parse(services, located.instance).layout)


def _parse(services: Services, instance: StoredInstance) -> ParsedInstance:
    from lenticular.dicom.read import part10

    log.warning("%s is read again, as the index cannot tell what is in it", instance.key)
    with services.new_spool() as spool:
        try:
            for piece in file_content(services, instance).all():
                spool.write(piece)
            return part10.parse(spool.view())
        except (NotFound, InvalidInstance) as error:
            raise DamagedRow(
                f"What the index has of instance {instance.sop_instance_uid} is damaged, and its"
                " file is gone or damaged, too; restore the file, or delete the instance."
            ) from error
