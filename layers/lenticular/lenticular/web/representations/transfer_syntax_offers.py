"""Content negotiation for instances and frames, PS3.18 8.7.3 and 8.7.8.

Only this module decides in which transfer syntaxes a stored object can be served: as it is stored,
uncompressed, or compressed in another way. Pixels may turn out not to fit a syntax, but only when
they are compressed, so a client that accepts them as stored never waits for that.
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
from lenticular.web.http.accept import Accept, Offer, choose, takes, with_default_syntax
from lenticular.web.http.media_types import DICOM, OCTET_STREAM, ZIP


@dataclass(frozen=True, slots=True)
class Representation:
    """The negotiated way to send instances: media type, multipart or not, and transfer syntaxes."""

    media_type: str
    multipart: bool
    syntaxes: dict[str, str]
    refused: dict[str, Unacceptable] = field(default_factory=dict)
    """The stored transfer syntaxes that cannot be served in an accepted one."""
    fallbacks: frozenset[str] = frozenset()
    """The stored transfer syntaxes that the client accepts if an instance cannot be converted."""

    def syntax_of(self, stored: str) -> str:
        """Return the transfer syntax in which an instance stored in this one is sent."""
        if stored in self.refused:
            raise self.refused[stored]
        return self.syntaxes[stored]

    @property
    def is_as_stored(self) -> bool:
        """True if every instance is sent in the transfer syntax in which it is stored."""
        return all(stored == syntax for stored, syntax in self.syntaxes.items())


def negotiate_instances(
    accept: Accept, stored_syntaxes: Iterable[str], *, single: bool, strict: bool = False
) -> Representation:
    """Return how these instances are sent, each in a transfer syntax that is accepted.

    A single part is for the resource of an instance only, however many a study has (PS3.18
    10.4.4). The first stored syntax that can be served decides the media type. An octet stream of
    instances is their bulk data (Table 10.4.4-1).
    """
    candidates = [(DICOM, True), (ZIP, False), *([(DICOM, False)] if single else [])]
    candidates.append((OCTET_STREAM, True))
    syntaxes: dict[str, str] = {}
    refused: dict[str, Unacceptable] = {}
    fallbacks: set[str] = set()
    for stored in sorted(set(stored_syntaxes)):
        offers = [each for kind in candidates for each in _offers(stored, *kind, strict=strict)]
        wanted = with_default_syntax(accept) if strict and _can_change(stored) else accept
        try:
            chosen = choose(wanted, offers)
        except Unacceptable as error:
            refused[stored] = error
            continue
        candidates = [(chosen.media_type, chosen.multipart)]
        syntaxes[stored] = chosen.transfer_syntax_uid or stored
        as_stored = replace(chosen, transfer_syntax_uid=stored)
        if syntaxes[stored] != stored and not strict and takes(accept, as_stored):
            fallbacks.add(stored)
    if not syntaxes:
        raise next(iter(refused.values()))
    return Representation(*candidates[0], syntaxes, refused, frozenset(fallbacks))


@lru_cache(maxsize=256)
def _offers(stored: str, media_type: str, multipart: bool, *, strict: bool) -> tuple[Offer, ...]:
    """Return the offers of a media type in every transfer syntax that the stored one can become."""
    syntaxes = [None] if media_type == OCTET_STREAM else _reachable(stored, strict=strict)
    return tuple(Offer(media_type, syntax, multipart) for syntax in syntaxes)


def _can_change(stored: str) -> bool:
    syntax = KNOWN.get(stored)
    return syntax is not None and not syntax.is_video and not syntax.is_referenced


def _reachable(stored: str, *, strict: bool) -> list[str]:
    """Return the transfer syntaxes that can be made of a stored one, the default first."""
    if not _can_change(stored):
        return [stored]
    native = (EXPLICIT_VR_LITTLE_ENDIAN, DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN)
    if stored in NOT_USED_IN_WEB_SERVICES:  # available by name only, PS3.18 8.7.3
        return [*native, *COMPRESSED, *([] if strict else [stored])]
    return list(dict.fromkeys((stored, *native, *COMPRESSED)))


def negotiate_frames(
    accept: Accept, located: LocatedInstance, stored: str, *, single: bool, strict: bool = False
) -> Offer:
    """Return the media type and transfer syntax of frames that are stored in this syntax."""
    offers = frame_offers(located, stored)
    if strict:  # uncompressed is the default, PS3.18 Table 8.7.3-4
        offers.sort(key=lambda offer: offer.transfer_syntax_uid != EXPLICIT_VR_LITTLE_ENDIAN)
    parts = [replace(offer, multipart=True) for offer in offers]
    return choose(accept, [*parts, *offers] if single else parts)


def frame_offers(located: LocatedInstance, stored: str) -> list[Offer]:
    """Return the offers for a frame: as stored, then uncompressed, then otherwise compressed."""
    candidates = [(lookup(stored).media_type, stored)]
    if can_decode(located):
        uncompressed = (OCTET_STREAM, EXPLICIT_VR_LITTLE_ENDIAN)
        others = ((lookup(syntax).media_type, syntax) for syntax in COMPRESSED)
        candidates = list(dict.fromkeys([*candidates, uncompressed, *others]))
    return [Offer(*candidate) for candidate in candidates]
