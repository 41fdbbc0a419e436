"""Requests to the server and to its storage, repeated while that may help."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Event
from typing import IO, Any, Protocol, cast
from urllib.parse import urlsplit

import orjson
import urllib3
from urllib3.exceptions import (
    HTTPError,
    ProtocolError,
    ReadTimeoutError,
    SSLError,
)

from lenticular.client.streamed_body import Body, Cancelled

CONNECTIONS = 4
# Enough for a server that restarts, and for a database that wakes up.
PAUSES = (0.5, 1, 2, 4, 8, 15, 15)
# Until a host has answered once, its address may be wrong.
FIRST_PAUSES = PAUSES[:2]
LONGEST_PAUSE = 60
# The first is also how long it may take to send one piece, so a slow line needs small pieces.
TIMEOUT = urllib3.Timeout(connect=30, read=600)
SENT_AT_ONCE = 64 * 1024
TEMPORARY = frozenset({429, 500, 502, 503, 504})
NOT_ALLOWED = frozenset({401, 403})
# Said of the server and not of what was sent, so other files would fare no better.
SERVER_BUSY = frozenset({429, 503, 507})


class UploadFailed(Exception):
    """The upload cannot go on; the message gives the reason."""


class Authorizer(Protocol):
    """Signs in: adds headers to requests."""

    def headers(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | Body | None
    ) -> dict[str, str]:
        """Return the headers to add to this request."""


@dataclass(frozen=True, slots=True)
class ServerCredentials:
    """Credentials: `name:password`, or a bearer token, or neither."""

    user: str | None = None
    token: str | None = None

    def headers(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | Body | None
    ) -> dict[str, str]:
        """Return the Authorization header, the same for every request."""
        if self.token:
            return {"Authorization": f"Bearer {self.token}"}
        return urllib3.make_headers(basic_auth=self.user) if self.user else {}


class Server:
    """A server, and the credentials for it."""

    def __init__(self, url: str, authorizer: Authorizer) -> None:
        require_address(url)
        self.url = url
        self._authorizer = authorizer
        self._pool = urllib3.PoolManager(maxsize=CONNECTIONS, blocksize=SENT_AT_ONCE)
        self._reached: set[str] = set()
        self.stop = Event()

    def call(
        self,
        method: str,
        path: str,
        body: bytes | Body | None = None,
        headers: Mapping[str, str] = {},
    ) -> urllib3.BaseHTTPResponse:
        """Send a request to the server, without following redirects: a body would be lost."""
        url = f"{self.url}{path}"
        plain = {"Accept": "application/json", **headers, **_length(body)}

        def send() -> urllib3.BaseHTTPResponse:
            # A signature holds for minutes, so every attempt has its own.
            signed = self._authorizer.headers(method, url, plain, body)
            return self._send(method, url, body, {**plain, **signed})

        response = self._persist(url, send)
        if response.status in NOT_ALLOWED:
            raise UploadFailed(f"The server refuses access: {reason(response)}{_hint(response)}")
        if response.status in SERVER_BUSY:
            raise UploadFailed(f"The server accepts no files now: {reason(response)}.")
        if 300 <= response.status < 400:
            elsewhere = response.headers.get("Location", "elsewhere")
            raise UploadFailed(f"The server redirects to {elsewhere}. Use that address with --to.")
        return response

    def put(self, url: str, body: Body) -> urllib3.BaseHTTPResponse:
        """Send a PUT to a presigned URL, without credentials, because the URL is one itself."""
        return self._persist(url, lambda: self._send("PUT", url, body, _length(body)))

    def pause(self, seconds: float) -> None:
        """Wait this long; raise Cancelled if the upload is stopped."""
        if self.stop.wait(seconds):
            raise Cancelled

    def _send(
        self, method: str, url: str, body: bytes | Body | None, headers: Mapping[str, str]
    ) -> urllib3.BaseHTTPResponse:
        if isinstance(body, Body):
            body.seek(0)
        return self._pool.request(
            method,
            url,
            body=cast("bytes | IO[bytes] | None", body),
            headers=headers,
            timeout=TIMEOUT,
            retries=False,
            redirect=False,
        )

    def _persist(
        self, url: str, send: Callable[[], urllib3.BaseHTTPResponse]
    ) -> urllib3.BaseHTTPResponse:
        """Send, and repeat after failures that may pass by themselves."""
        host = urlsplit(url).netloc.rpartition("@")[2]
        attempt = 0
        while True:
            response, error = _attempt(send)
            if response is not None or isinstance(error, (ProtocolError, ReadTimeoutError)):
                self._reached.add(host)
            # An error in the server (500) hardly goes away by itself.
            broken = response is not None and response.status == 500
            pauses = FIRST_PAUSES if broken or host not in self._reached else PAUSES
            is_last = attempt >= len(pauses)
            if response is not None and (response.status not in TEMPORARY or is_last):
                return response
            if error is not None and (is_last or isinstance(error, SSLError)):
                raise UploadFailed(f"{host} cannot be reached: {_plain(error)}") from error
            self.pause(_pause(pauses[attempt], response))
            attempt += 1


def require_address(url: str) -> None:
    """Raise UploadFailed unless this is the URL of a server."""
    if not _is_address(url):
        raise UploadFailed(
            f"{url!r} is not a URL. Did you mean https://{url.partition('://')[2] or url}?"
        )


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _attempt(
    send: Callable[[], urllib3.BaseHTTPResponse],
) -> tuple[urllib3.BaseHTTPResponse, None] | tuple[None, HTTPError]:
    try:
        return send(), None
    except HTTPError as error:
        return None, error


def _pause(planned: float, response: urllib3.BaseHTTPResponse | None) -> float:
    asked = response.headers.get("Retry-After", "") if response is not None else ""
    return min(max(planned, int(asked)), LONGEST_PAUSE) if asked.isdigit() else planned


def _length(body: bytes | Body | None) -> dict[str, str]:
    if body is None:
        return {}
    return {"Content-Length": str(body.size if isinstance(body, Body) else len(body))}


def _plain(error: HTTPError) -> str:
    """Return the message without the objects that urllib3 puts around it."""
    cause = error.args[-1] if error.args and isinstance(error.args[-1], Exception) else error
    return re.sub(r"^.*>: |^.*\): ", "", str(cause)) or type(cause).__name__


def _hint(response: urllib3.BaseHTTPResponse) -> str:
    if "x-amzn-errortype" in response.headers and b"Authentication Token" in response.data:
        return ". Use --sign (AWS credentials) or --token."
    return "."


def json_of(response: urllib3.BaseHTTPResponse) -> dict[str, Any]:
    """Return the body as a JSON object, or an empty one."""
    try:
        parsed = orjson.loads(response.data)
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def reason(response: urllib3.BaseHTTPResponse) -> str:
    """Return status and reason of an error of Lenticular, Orthanc, API Gateway or S3."""
    said = json_of(response)
    words = next(
        (said[key] for key in ("detail", "Details", "message", "Message") if said.get(key)), ""
    )
    if not words:
        # S3 answers in XML.
        found = re.search(rb"<Message>([^<]+)<", response.data[:2000])
        words = found[1].decode("utf-8", "replace") if found else response.reason or ""
    return f"{response.status} {str(words).rstrip('.')}".strip()
