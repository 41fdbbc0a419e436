"""Files in a form, multipart/form-data (RFC 7578), one at a time as they arrive."""

from collections.abc import AsyncIterator, Callable

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from lenticular import errors
from lenticular.services import Services
from lenticular.storage.spool import Spool

LARGEST_HEADER = 8 * 1024


def is_form(request: Request) -> bool:
    """Return True if the body is a form that may hold files."""
    content_type = request.headers.get("content-type", "")
    return content_type.split(";")[0].strip().lower() == "multipart/form-data"


async def files_of_form(
    request: Request, body: AsyncIterator[bytes], services: Services
) -> AsyncIterator[Spool]:
    """Yield each file of the form, which the caller closes; skip fields that are no files."""
    form = _Form(_boundary(request), services.new_spool)
    count = 0
    try:
        async for piece in body:
            for spool in form.feed(piece):
                count += 1
                if count > services.settings.maximum_zip_entries:
                    raise errors.TooLarge(f"The form holds more than {count - 1:,} files.")
                yield spool
        form.finish()
    finally:
        form.close()
    if not count:
        raise errors.InvalidInstance("The form holds no file.")


def _boundary(request: Request) -> bytes:
    """Return the boundary of the form."""
    _, options = parse_options_header(request.headers["content-type"])
    boundary = options.get(b"boundary")
    if not boundary:
        raise errors.InvalidRequest("The form's Content-Type names no boundary.")
    return boundary


class _Form:
    """The state of the form's parser."""

    def __init__(self, boundary: bytes, new_spool: Callable[[], Spool]) -> None:
        self._new_spool = new_spool
        self._spool: Spool | None = None
        self._complete: list[Spool] = []
        self._name = self._value = b""
        self._is_file = self._ended = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._field,
                "on_header_value": self._header,
                "on_header_end": self._header_end,
                "on_headers_finished": self._headers_finished,
                "on_part_data": self._data,
                "on_part_end": self._end,
                "on_end": self._finished,
            },
        )

    def feed(self, piece: bytes) -> list[Spool]:
        """Return the files that are complete with this piece."""
        try:
            self._parser.write(piece)
        except FormParserError as error:
            raise errors.InvalidRequest("The form is malformed.") from error
        complete, self._complete = self._complete, []
        return complete

    def finish(self) -> None:
        """Refuse a form that was cut off."""
        if not self._ended:
            raise errors.InvalidRequest("The form ends before its last boundary.")

    def close(self) -> None:
        """Close the files that are incomplete or were not handed out."""
        for spool in (*self._complete, self._spool):
            if spool is not None:
                spool.close()

    def _begin(self) -> None:
        self._is_file = False

    def _field(self, data: bytes, start: int, end: int) -> None:
        self._name = self._grown(self._name, data[start:end])

    def _header(self, data: bytes, start: int, end: int) -> None:
        self._value = self._grown(self._value, data[start:end])

    def _grown(self, header: bytes, more: bytes) -> bytes:
        """Return a header with more of it; refuse one that is too long."""
        if len(header) + len(more) > LARGEST_HEADER:
            raise errors.InvalidRequest("A header in the form is too long.")
        return header + more

    def _header_end(self) -> None:
        if self._name.lower() == b"content-disposition":
            _, options = parse_options_header(self._value)
            self._is_file = b"filename" in options
        self._name = self._value = b""

    def _headers_finished(self) -> None:
        if self._is_file:
            self._spool = self._new_spool()

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._spool is not None:
            self._spool.write(data[start:end])

    def _end(self) -> None:
        if self._spool is not None:
            self._complete.append(self._spool)
            self._spool = None

    def _finished(self) -> None:
        self._ended = True
