"""Media types and how they are written, RFC 9110 8.3.1."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from lenticular.dicom import transfer_syntaxes
from lenticular.errors import InvalidRequest

OCTET_STREAM = transfer_syntaxes.OCTET_STREAM
DICOM = "application/dicom"
DICOM_JSON = "application/dicom+json"
DICOM_XML = "application/dicom+xml"
JSON = "application/json"
ZIP = "application/zip"
MULTIPART_RELATED = "multipart/related"
WADL = "application/vnd.sun.wadl+xml"
HTML = "text/html"
PLAIN_TEXT = "text/plain"
TEXT_XML = "text/xml"
PDF = "application/pdf"
TEXTS = (DICOM_JSON, JSON, DICOM_XML, WADL, HTML, PLAIN_TEXT, TEXT_XML)
"""The media types that are text: worth gzip, and no base64 on their way out of Lambda."""

_WORD = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_TYPE = re.compile(rf"\s*(?P<type>{_WORD})/(?P<subtype>{_WORD})\s*")
QUOTED = r'"(?:[^"\\]|\\.)*"'
# Unquoted values are taken up to the next separator, for boundaries with `=` or `:` in them
# and media types with their `/` are often sent unquoted.
_PARAMETER = re.compile(rf'\s*(?P<name>{_WORD})\s*=\s*(?P<value>{QUOTED}|[^\s";,]*)\s*', re.S)


@dataclass(frozen=True, slots=True)
class MediaType:
    """A media type in lower case with its parameters; parameter names are in lower case too."""

    name: str
    parameters: dict[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> "MediaType":
        """Read `type/subtype; name=value; name="value"`."""
        match = _TYPE.match(text)
        if match is None:
            raise InvalidRequest(f"'{shown(text)}' is not a media type.")
        name = f"{match['type']}/{match['subtype']}".lower()
        return cls(name, dict(_parameters(text, match.end())))


def _parameters(text: str, position: int) -> Iterator[tuple[str, str]]:
    """Yield name and value of each parameter from this position on."""
    while position < len(text):
        if text[position] != ";":
            raise InvalidRequest(f"'{shown(text)}' is not a media type.")
        rest = text[position + 1 :].lstrip()
        if not rest or rest.startswith(";"):  # an empty parameter, often at the end
            position = len(text) - len(rest)
            continue
        match = _PARAMETER.match(text, position + 1)
        if match is None:
            raise InvalidRequest(f"'{shown(text)}' has a malformed parameter.")
        yield match["name"].lower(), _unquoted(match["value"])
        position = match.end()


def _unquoted(value: str) -> str:
    """Return the value without quotation marks and escapes."""
    return re.sub(r"\\(.)", r"\1", value[1:-1], flags=re.S) if value.startswith('"') else value


def shown(text: str) -> str:
    """Return the beginning of a client's text, for a message, without control characters."""
    return "".join(c if c.isprintable() else "?" for c in text[:80])
