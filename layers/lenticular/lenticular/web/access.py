"""Who may do what on one machine: nobody in without credentials once any are configured.

Without credentials the server listens on this machine only (see `__main__`), and still does not
trust a browser: a page from elsewhere must neither read through a DNS name that points here nor
write with a form.
"""

import asyncio
import base64
import hashlib
import hmac
import secrets
from http import HTTPStatus
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from lenticular.settings import Right, Settings
from lenticular.web.errors import error_response

LOOPBACK_HOSTS = {"localhost", "127.0.0.1", "::1"}
OPEN_PATHS = {"/health"}
# A line for each, or Chromium understands neither and asks nobody to sign in.
CHALLENGES = ('Basic realm="Lenticular", charset="UTF-8"', "Bearer")
READING_POSTS = {"/tools/find", "/tools/lookup"}
# Whoever looks at an upload gets URLs to put files to.
WRITING_GETS = ("/uploads/",)
REMEMBERED = 1000
SCRYPT = {"n": 2**14, "r": 8, "p": 1}


def hash_password(password: str) -> str:
    """A password as it may stand in a configuration file."""
    salt = secrets.token_bytes(16)
    return f"scrypt:{salt.hex()}:{_scrypt(password, salt).hex()}"


class AccessControl:
    """Let a request through when its credentials hold the right that its method needs."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings
        self._remembered: dict[bytes, frozenset[Right]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 401 or 403."""
        if scope["type"] == "http" and scope["path"] not in OPEN_PATHS:
            refusal = await self._refusal(scope)
            if refusal is not None:
                response = error_response(*refusal)
                if refusal[0] is HTTPStatus.UNAUTHORIZED:
                    for challenge in CHALLENGES:
                        response.headers.append("WWW-Authenticate", challenge)
                await response(scope, receive, send)
                return
        await self._app(scope, receive, send)

    async def _refusal(self, scope: Scope) -> tuple[HTTPStatus, str] | None:
        headers = Headers(scope=scope)
        if not self._settings.has_credentials:
            return self._foreign_page(scope, headers)
        rights = await self._rights(headers.get("authorization", ""))
        if rights is None:
            return HTTPStatus.UNAUTHORIZED, "Sign in with a user or a bearer token."
        needed = _needed(scope)
        if needed not in rights:
            return HTTPStatus.FORBIDDEN, f"These credentials do not allow to {needed}."
        return None

    def _foreign_page(self, scope: Scope, headers: Headers) -> tuple[HTTPStatus, str] | None:
        host = headers.get("host", "")
        own = urlsplit(self._settings.public_url).netloc
        if host != own and _hostname(host) not in LOOPBACK_HOSTS:
            detail = "Without credentials configured, only this machine is served, by its own name."
            return HTTPStatus.FORBIDDEN, detail
        origin = headers.get("origin")
        if origin is not None and _needed(scope) == "write" and _netloc(origin) != host:
            return HTTPStatus.FORBIDDEN, "A page from another origin may not write here."
        return None

    async def _rights(self, authorization: str) -> frozenset[Right] | None:
        """What the header allows; None when it names nobody."""
        digest = hashlib.sha256(authorization.encode()).digest()
        if digest in self._remembered:
            return self._remembered[digest]
        # A hashed password takes tens of milliseconds on purpose, so not on the event loop.
        rights = await asyncio.to_thread(self._look_up, authorization)
        if rights is not None:
            if len(self._remembered) >= REMEMBERED:
                self._remembered.clear()
            self._remembered[digest] = rights
        return rights

    def _look_up(self, authorization: str) -> frozenset[Right] | None:
        scheme, _, credentials = authorization.partition(" ")
        if scheme.lower() == "bearer":
            for token in self._settings.tokens:
                if _same(token.token, credentials.strip()):
                    return token.rights
        if scheme.lower() == "basic":
            name, password = _basic(credentials)
            for user in self._settings.users:
                if _same(user.name, name) and _password_matches(user.password, password):
                    return user.rights
        return None


def _needed(scope: Scope) -> Right:
    if scope["method"] in ("GET", "HEAD"):
        return "write" if scope["path"].startswith(WRITING_GETS) else "read"
    reading = scope["method"] == "OPTIONS" or scope["path"] in READING_POSTS
    return "read" if reading else "write"


def _hostname(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _netloc(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc
    except ValueError:  # an address that is none, such as `http://[`
        return None


def _basic(credentials: str) -> tuple[str, str]:
    try:
        name, _, password = base64.b64decode(credentials, validate=True).decode().partition(":")
    except ValueError:  # neither ASCII nor Base64 nor UTF-8
        return "", ""
    return name, password


def _password_matches(configured: str, given: str) -> bool:
    if not configured.startswith("scrypt:"):
        return _same(configured, given)
    _, salt, expected = configured.split(":")
    return hmac.compare_digest(_scrypt(given, bytes.fromhex(salt)).hex(), expected)


def _scrypt(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, **SCRYPT)


def _same(left: str, right: str) -> bool:
    return hmac.compare_digest(left.encode(), right.encode())
