"""Character sets, PS3.18 8.3.3.2 and 8.8: the `charset` query parameter and Accept-Charset.

DICOM JSON and XML are always UTF-8. Rendered texts can be had in each set of `CODECS`.
"""

from collections.abc import Iterable

from starlette.datastructures import QueryParams
from starlette.requests import Request

from lenticular.errors import InvalidRequest, Unacceptable

UTF_8 = "utf-8"
ANY = "*"

_DEFINED_TERMS = {
    "iso_ir 192": UTF_8,
    "iso_ir 6": "us-ascii",
    "iso_ir 100": "iso-8859-1",
    "iso_ir 101": "iso-8859-2",
    "iso_ir 109": "iso-8859-3",
    "iso_ir 110": "iso-8859-4",
    "iso_ir 144": "iso-8859-5",
    "iso_ir 127": "iso-8859-6",
    "iso_ir 126": "iso-8859-7",
    "iso_ir 138": "iso-8859-8",
    "iso_ir 148": "iso-8859-9",
    "iso_ir 203": "iso-8859-15",
    "iso_ir 166": "tis-620",
    "iso 2022 ir 87": "iso-2022-jp",
    "iso 2022 ir 149": "euc-kr",
    "gb18030": "gb18030",
    "gbk": "gbk",
}
"""Defined Terms of PS3.3 C.12.1.1.2 and the names that IANA prefers (PS3.18 Annex D)."""

CODECS = frozenset(_DEFINED_TERMS.values())
"""The character sets of rendered texts; Python knows them by these names."""

_OTHER_NAMES = {"utf8": UTF_8, "ascii": "us-ascii", "latin1": "iso-8859-1"}


def character_sets(parameters: QueryParams) -> tuple[str, ...]:
    """Return the supported character sets that `charset` names, the best first; `*` is any.

    A list without a supported one is refused: unlike Accept-Charset, the parameter has no way
    to say "or else any other".
    """
    if "charset" not in parameters:
        return ()
    weights = _weights(parameters.getlist("charset"))
    named = [name for name in weights if name in CODECS or name == ANY]
    if not named:
        raise InvalidRequest(f"`charset` must name one of: {', '.join(_names())}.")
    return tuple(sorted(named, key=lambda name: -weights[name]))


def require_utf_8(request: Request) -> None:
    """Refuse a client that does not take UTF-8, the character set of DICOM JSON and XML."""
    named = character_sets(request.query_params)
    if named and not {UTF_8, ANY} & set(named):
        raise InvalidRequest("`charset` must include UTF-8, in which this resource is.")
    if not named:
        _choose(request, (UTF_8,))


def choose_character_set(request: Request, of_media_type: Iterable[str] = ()) -> str:
    """Return the character set in which a rendered text goes out (PS3.18 8.8.5).

    `of_media_type` are those that the client names as a parameter of the media type.
    """
    for name in _weights(of_media_type):
        if name in CODECS:
            return name
    named = character_sets(request.query_params)
    if named:
        return UTF_8 if named[0] == ANY else named[0]
    return _choose(request, _names())


def _choose(request: Request, available: Iterable[str]) -> str:
    """Return the set that Accept-Charset weighs highest; UTF-8 without the header."""
    weights = _weights(request.headers.getlist("accept-charset"))
    if not weights:
        return UTF_8
    rest = weights.get(ANY, 0.0)
    best = max(available, key=lambda name: weights.get(name, rest))
    if weights.get(best, rest) <= 0:
        raise Unacceptable("No accepted character set can be served; there is UTF-8.")
    return best


def _names() -> list[str]:
    return [UTF_8, *sorted(CODECS - {UTF_8})]


def _weights(lists: Iterable[str]) -> dict[str, float]:
    """Read lists of character sets with weights; a weight that is no number is 1."""
    found: dict[str, float] = {}
    for element in ",".join(lists).split(","):
        name, _, parameter = element.partition(";")
        name = name.strip(' "').lower()
        if name:
            found[_DEFINED_TERMS.get(name) or _OTHER_NAMES.get(name, name)] = _weight(parameter)
    return found


def _weight(parameter: str) -> float:
    name, _, value = parameter.replace(" ", "").partition("=")
    try:
        return float(value) if name.lower() == "q" else 1.0
    except ValueError:
        return 1.0
