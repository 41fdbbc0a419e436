"""Content negotiation, PS3.18 8.7 and RFC 9110 12.5.1.

A handler lists its Offers in its own order of preference; `choose` returns the one to which the
client gives the highest weight. The `accept` query parameter goes before the header, which counts
only if nothing in the parameter can be served (PS3.18 8.7.8.1), so that a plain link can ask for a
type.
"""

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache

from starlette.requests import Request

from lenticular.dicom import transfer_syntaxes
from lenticular.errors import InvalidRequest, Unacceptable
from lenticular.web.http.character_sets import ANY, character_sets
from lenticular.web.http.media_types import (
    MULTIPART_RELATED,
    OCTET_STREAM,
    QUOTED,
    MediaType,
    shown,
)

_ELEMENT = re.compile(rf'(?:[^",]|{QUOTED})+', re.S)
_LIST = re.compile(rf'(?:[^"]|{QUOTED})*+', re.S)
# A `+` in a query is decoded as a space, but `accept=application/dicom+json` means a plus.
_LOST_PLUS = re.compile(r"(?<=[\w.-]) (?=[\w.-])")


@dataclass(frozen=True, slots=True)
class Offer:
    """A representation that can be served; `multipart` wraps it in multipart/related."""

    media_type: str
    transfer_syntax_uid: str | None = None
    multipart: bool = False

    def __str__(self) -> str:
        suffix = f"; transfer-syntax={self.transfer_syntax_uid}" if self.transfer_syntax_uid else ""
        if self.multipart:
            return f'{MULTIPART_RELATED}; type="{self.media_type}"{suffix}'
        return self.media_type + suffix


@dataclass(frozen=True, slots=True)
class MediaRange:
    """One element of an Accept header.

    `multipart` is None for `*/*`, which accepts both. `transfer_syntax_uid` is None if the client
    named none, and `*` if it accepts any.
    """

    name: str
    multipart: bool | None
    transfer_syntax_uid: str | None
    quality: float

    def matches(self, offer: Offer) -> bool:
        """Return True if the range includes the offer."""
        if self.multipart is not None and self.multipart != offer.multipart:
            return False
        wanted = self.transfer_syntax_uid
        if self.name == OCTET_STREAM:
            if wanted == "*":
                # In any syntax: that is how viewers ask for frames as they are stored.
                return True
            # The default of this media type is uncompressed (PS3.18 8.7.3.3).
            wanted = wanted or transfer_syntaxes.EXPLICIT_VR_LITTLE_ENDIAN
        takes_syntax = wanted in (None, "*") or offer.transfer_syntax_uid in (None, wanted)
        return takes_syntax and self._names(offer.media_type)

    def _names(self, media_type: str) -> bool:
        """Return True if the range includes the media type."""
        if self.name.endswith("/*"):
            return self.name == "*/*" or media_type.startswith(self.name[:-1])
        return self.name == media_type

    def specificity(self) -> int:
        """Return how exact the range is; of those that match, the most exact decides."""
        exact = 0 if self.name == "*/*" else 1 if self.name.endswith("/*") else 2
        return 4 * exact + 2 * (self.multipart is not None) + (self.transfer_syntax_uid is not None)


Ranges = tuple[MediaRange, ...]
Accept = tuple[Ranges, ...]
"""The media ranges that a client accepts: those of the query parameter, then of the header."""

COMMON_LENGTH = 1000
"""Characters of an Accept header that clients send again and again; longer ones are not cached."""

_ANYTHING: Ranges = (MediaRange("*/*", None, None, 1.0),)


def is_strict(request: Request) -> bool:
    """Return True if the server follows PS3.18 to the letter (the setting `strict`)."""
    return bool(getattr(request.app.state, "strict", False))


def accepted(request: Request) -> Accept:
    """Return the media types that the client accepts; without an Accept header, all.

    A `charset` without a known character set is refused here (PS3.18 8.3.3.2).
    """
    named = character_sets(request.query_params)
    if is_strict(request):
        _require_accept(request, named)
    query = ",".join(request.query_params.getlist("accept"))
    header = ",".join(request.headers.getlist("accept"))
    if not query:
        return (parse_ranges(header) or _ANYTHING,)
    return parse_ranges(_LOST_PLUS.sub("+", query)), parse_ranges(header)


def charsets_of(request: Request, media_type: str) -> list[str]:
    """Return the `charset` parameters with which the client names a media type."""
    lists = request.query_params.getlist("accept") or request.headers.getlist("accept")
    found = []
    for element in _elements(",".join(lists)):
        with suppress(InvalidRequest):
            media = MediaType.parse(element)
            if media.name == media_type and "charset" in media.parameters:
                found.append(media.parameters["charset"])
    return found


def _require_accept(request: Request, charset: tuple[str, ...]) -> None:
    """Refuse a request without media types, or with a wildcard as character set."""
    if ANY in charset:
        raise InvalidRequest("`charset` has no wildcards; name a character set.")
    if "accept" not in request.query_params and "accept" not in request.headers:
        raise Unacceptable("Name the media types that you accept in `Accept` or `accept`.")


def with_default_syntax(accept: Accept) -> Accept:
    """Return the ranges with the default of PS3.18 8.7.3.4 where none names a transfer syntax."""
    default = transfer_syntaxes.EXPLICIT_VR_LITTLE_ENDIAN
    return tuple(
        tuple(
            replace(each, transfer_syntax_uid=each.transfer_syntax_uid or default)
            for each in ranges
        )
        for ranges in accept
    )


def parse_ranges(text: str) -> Ranges:
    """Read a comma-separated list of media ranges."""
    return _cached_ranges(text) if len(text) <= COMMON_LENGTH else _ranges(text)


@lru_cache(maxsize=512)
def _cached_ranges(text: str) -> Ranges:
    """Read a list of media ranges that is common, and cached."""
    return _ranges(text)


def _ranges(text: str) -> Ranges:
    """Read the members of a list; ignore the invalid ones, unless all are (PS3.18 8.7.7)."""
    found: list[MediaRange] = []
    refusal: InvalidRequest | None = None
    for element in filter(str.strip, _elements(text)):
        try:
            found.append(_media_range(element))
        except InvalidRequest as error:
            refusal = refusal or error
    if refusal is not None and not found:
        raise refusal
    return tuple(found)


def choose(accept: Accept, offers: Sequence[Offer]) -> Offer:
    """Return the offer with the highest weight; among equals the first."""
    for ranges in accept:
        chosen = _best(ranges, offers)
        if chosen is not None:
            return chosen
    available = ", ".join(map(str, offers)) or "nothing"
    raise Unacceptable(f"No accepted media type can be served; there is: {available}.")


def takes(accept: Accept, offer: Offer) -> bool:
    """Return True if the client accepts this offer at all."""
    return any(_weight_of(offer, ranges) > 0 for ranges in accept)


def _best(ranges: Ranges, offers: Sequence[Offer]) -> Offer | None:
    """Return the first offer of the highest weight above 0."""
    best, top = None, 0.0
    highest = max((each.quality for each in ranges), default=0.0)
    for offer in offers:
        weight = _weight_of(offer, ranges)
        if weight > top:
            best, top = offer, weight
            if top == highest:  # no later one can weigh more: most requests end at the first
                break
    return best


def _weight_of(offer: Offer, ranges: Ranges) -> float:
    """Return the weight of an offer, 0 if it is not accepted."""
    matching = [media_range for media_range in ranges if media_range.matches(offer)]
    if not matching:
        return 0.0
    top = max(media_range.specificity() for media_range in matching)
    # The same range twice with two weights: the higher one counts.
    return max(each.quality for each in matching if each.specificity() == top)


def _media_range(text: str) -> MediaRange:
    """Read one media range."""
    # Java's HTTP client sends a lone `*`.
    text = text.strip()
    media = MediaType.parse("*/" + text if re.match(r"\*\s*(;|$)", text) else text)
    if media.name.startswith("*/") and media.name != "*/*":
        raise InvalidRequest(f"'{shown(text)}' is not a media range.")
    syntax = media.parameters.get("transfer-syntax")
    quality = _weight(media.parameters.get("q", "1"))
    if media.name in (MULTIPART_RELATED, "multipart/*"):
        inner = MediaType.parse(media.parameters.get("type", "*/*"))
        syntax = syntax or inner.parameters.get("transfer-syntax")
        return MediaRange(inner.name, True, syntax, quality)
    return MediaRange(media.name, None if media.name == "*/*" else False, syntax, quality)


def _elements(text: str) -> list[str]:
    """Split a list at its commas, but not inside quotation marks."""
    if not _LIST.fullmatch(text):
        raise InvalidRequest(f"'{shown(text)}' has an unbalanced quotation mark.")
    return _ELEMENT.findall(text)


def _weight(text: str) -> float:
    """Read a weight, the parameter `q`."""
    if not re.fullmatch(r"0?\.\d+|[01]\.?0*|0\.\d*", text):
        raise InvalidRequest(f"'{shown(text)}' is not a weight between 0 and 1.")
    return float(text)
