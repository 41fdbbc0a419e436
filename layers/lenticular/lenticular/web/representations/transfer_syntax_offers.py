"""Content negotiation for instances and frames, PS3.18 8.7.3 and 8.7.8.

The one place that knows in which transfer syntaxes a stored object can be served: as it is stored,
uncompressed, or compressed in another way. Whether the pixels of an instance fit a syntax is known
only when they are compressed; that is asked of nobody who wants what is there.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import lru_cache

from lenticular.dicom.transfer_syntaxes import (
    COMPRESSED,
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    KNOWN,
    NOT_USED_IN_WEB_SERVICES,
    lookup,
)
from lenticular.errors import Unacceptable
from lenticular.index.records import LocatedInstance
from lenticular.transactions.retrieve.frames import can_decode
from lenticular.web.http.accept import Accept, Offer, choose, takes
from lenticular.web.http.media_types import DICOM, OCTET_STREAM, ZIP


@dataclass(frozen=True, slots=True)
class Representation:
    """The representation of instances: single, multipart or zip; and the syntax of each."""

    media_type: str
    multipart: bool
    syntaxes: dict[str, str]
    refused: dict[str, Unacceptable] = field(default_factory=dict)
    """The stored transfer syntaxes that cannot be served in an accepted one."""
    fallbacks: frozenset[str] = frozenset()
    """The stored transfer syntaxes that the client takes of what cannot be converted."""

    def syntax_of(self, stored: str) -> str:
        """Return the transfer syntax in which an instance stored in this one goes out."""
        if stored in self.refused:
            raise self.refused[stored]
        return self.syntaxes[stored]

    @property
    def is_as_stored(self) -> bool:
        """Tell whether every instance goes out in the transfer syntax in which it is stored."""
        return all(stored == syntax for stored, syntax in self.syntaxes.items())


def negotiate_instances(
    accept: Accept, stored_syntaxes: Iterable[str], *, single: bool
) -> Representation:
    """Return how these instances go out, each in a transfer syntax that is accepted.

    A single part is for the resource of an instance only, however many a study has (PS3.18
    10.4.4). The first stored syntax that can be served decides about the media type. Octets are
    not the instances but their bulk data (Table 10.4.4-1).
    """
    kinds = [(DICOM, True), (ZIP, False), *([(DICOM, False)] if single else [])]
    kinds.append((OCTET_STREAM, True))
    syntaxes: dict[str, str] = {}
    refused: dict[str, Unacceptable] = {}
    fallbacks: set[str] = set()
    for stored in sorted(set(stored_syntaxes)):
        try:
            chosen = choose(accept, [offer for kind in kinds for offer in _offers(stored, *kind)])
        except Unacceptable as error:
            refused[stored] = error
            continue
        kinds = [(chosen.media_type, chosen.multipart)]
        syntaxes[stored] = chosen.transfer_syntax_uid or stored
        if syntaxes[stored] != stored and takes(
            accept, replace(chosen, transfer_syntax_uid=stored)
        ):
            fallbacks.add(stored)
    if not syntaxes:
        raise next(iter(refused.values()))
    return Representation(*kinds[0], syntaxes, refused, frozenset(fallbacks))


@lru_cache(maxsize=256)
def _offers(stored: str, media_type: str, multipart: bool) -> tuple[Offer, ...]:
    """Return the media type in every transfer syntax that can be made of the stored one."""
    syntaxes = [None] if media_type == OCTET_STREAM else _reachable(stored)
    return tuple(Offer(media_type, syntax, multipart) for syntax in syntaxes)


def _reachable(stored: str) -> list[str]:
    """Return the transfer syntaxes that can be made of a stored one, the default first."""
    syntax = KNOWN.get(stored)
    if syntax is None or syntax.is_video or syntax.is_referenced:
        return [stored]
    native = (EXPLICIT_VR_LITTLE_ENDIAN, DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN)
    if stored in NOT_USED_IN_WEB_SERVICES:  # to be had by name, PS3.18 8.7.3
        return [*native, *COMPRESSED, stored]
    return list(dict.fromkeys((stored, *native, *COMPRESSED)))


def negotiate_frames(
    accept: Accept, located: LocatedInstance, stored: str, *, single: bool
) -> Offer:
    """Return the media type and transfer syntax of frames that are stored in this syntax."""
    offers = frame_offers(located, stored)
    parts = [replace(offer, multipart=True) for offer in offers]
    return choose(accept, [*parts, *offers] if single else parts)


def frame_offers(located: LocatedInstance, stored: str) -> list[Offer]:
    """Return the offers for a frame: as stored, then uncompressed, then otherwise compressed."""
    kinds = [(lookup(stored).media_type, stored)]
    if can_decode(located):
        uncompressed = (OCTET_STREAM, EXPLICIT_VR_LITTLE_ENDIAN)
        others = ((lookup(syntax).media_type, syntax) for syntax in COMPRESSED)
        kinds = list(dict.fromkeys([*kinds, uncompressed, *others]))
    return [Offer(*kind) for kind in kinds]
