"""Structured logs, with UIDs and paths, without patient data.

One JSON object a line for programs; on a terminal, lines for people.
"""

import logging
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TextIO

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

access = logging.getLogger("lenticular.access")

USER = "lenticular.user"
STARTED = "lenticular.started"
"""In the scope of a request: the time of `time.monotonic()` when it came."""
"""The key of the user who has signed in, in the scope of a request."""
HUNG_UP = 499
"""The status that is logged if the client closed the connection first, as nginx does."""


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    """Return the `extra` of a log call: fields, and counts that AWS turns into metrics."""
    return {**getattr(record, "fields", {}), **getattr(record, "counts", {})}


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON, with `fields` and `counts` passed as `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        entry = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(entry).decode()


class TextFormatter(logging.Formatter):
    """Formats a record for people: `12:30:01 INFO 10.0.0.7 ann GET /system 200 …`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, and a traceback below it."""
        fields = _fields(record)
        if record.name == access.name:
            text = _request_line(fields)
        else:
            named = (f"{name}={value}" for name, value in fields.items())
            text = " ".join([record.getMessage(), *named])
        # A path may hold line breaks and the control sequences of terminals.
        text = "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)
        line = f"{datetime.fromtimestamp(record.created):%H:%M:%S} {record.levelname:<7} {text}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def _request_line(fields: Mapping[str, Any]) -> str:
    """Return the line for a request."""
    who = f"{fields['client'] or '-'} {fields['user'] or '-'}"
    size = f"{fields['bytes']:,} B {fields['milliseconds']:.0f} ms"
    return f"{who} {fields['method']} {fields['path']} {fields['status']} {size}"


def configure(level: str = "info", style: str = "auto", stream: TextIO = sys.stderr) -> None:
    """Send every log to the stream, as `text` or `json`; `auto` is text on a terminal."""
    is_text = style == "text" or (style == "auto" and stream.isatty())
    handler = logging.StreamHandler(stream)
    handler.setFormatter(TextFormatter() if is_text else JsonFormatter())
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)


class AccessLog:
    """Notes when a request came, and logs it without its query, which may hold a patient's name."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and log it after the response."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope[STARTED] = started = time.monotonic()
        status = 0
        size = 0

        async def counting_send(message: Message) -> None:
            nonlocal status, size
            if message["type"] == "http.response.start":
                status = message["status"]
            else:
                size += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, counting_send)
        finally:
            fields = {
                "method": scope["method"],
                "path": scope["path"],
                "client": (scope.get("client") or (None,))[0],
                "user": scope.get(USER),
                "status": status,
                "bytes": size,
                "milliseconds": round((time.monotonic() - started) * 1000, 1),
            }
            level = logging.ERROR if status >= 500 else logging.INFO
            access.log(level, "request", extra={"fields": fields})
