"""Which representation of instances and frames a client gets, PS3.18 8.7.3 and 8.7.8.

The one place that knows in which transfer syntaxes a stored object can be served: as it is
stored and, for frames, uncompressed. What can be transcoded is to be offered here.
"""

from collections.abc import Iterable

from lenticular.dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, lookup
from lenticular.index.records import LocatedInstance
from lenticular.transactions.frames import can_decode, frame_syntax
from lenticular.web.media_types import DICOM, OCTET_STREAM, ZIP, Accept, Offer, choose


def negotiate_instances(accept: Accept, stored_syntaxes: Iterable[str], *, single: bool) -> Offer:
    """The form in which these instances go out, each in a transfer syntax that is accepted.

    A single part is for the resource of an instance only, however many a study has (PS3.18
    10.4.4).
    """
    first, *others = sorted(set(stored_syntaxes))
    offers = [Offer(DICOM, first, multipart=True), Offer(ZIP, first)]
    chosen = choose(accept, [*offers, Offer(DICOM, first)] if single else offers)
    for other in others:
        choose(accept, [Offer(chosen.media_type, other, chosen.multipart)])
    return chosen


def negotiate_frames(accept: Accept, located: LocatedInstance, *, single: bool) -> Offer:
    """The media type and transfer syntax of frames: as stored before uncompressed."""
    stored = frame_syntax(located)
    kinds = [(lookup(stored).media_type, stored)]
    if stored != EXPLICIT_VR_LITTLE_ENDIAN and can_decode(located):
        kinds.append((OCTET_STREAM, EXPLICIT_VR_LITTLE_ENDIAN))
    forms = (True, False) if single else (True,)
    return choose(accept, [Offer(*kind, multipart=form) for kind in kinds for form in forms])
