"""The `charset` query parameter, PS3.18 8.3.3.2: texts are available in UTF-8."""

from starlette.datastructures import QueryParams

from lenticular.errors import InvalidRequest

_SUPPORTED = frozenset({"utf-8", "utf8", "iso_ir 192", "*"})


def character_sets(parameters: QueryParams) -> frozenset[str]:
    """Return the supported character sets that are named, in small letters; none without any.

    A list without a supported one is refused: unlike Accept-Charset, the parameter has no way
    to say "or else any other".
    """
    named = ",".join(parameters.getlist("charset"))
    if "charset" not in parameters:
        return frozenset()
    names = {each.partition(";")[0].strip(' "').lower() for each in named.split(",")}
    if not names & _SUPPORTED:
        raise InvalidRequest("`charset` must include UTF-8, the only one available.")
    return frozenset(names & _SUPPORTED)
