"""Access control: as soon as a user or token is configured, every request needs credentials.

Without any, the server listens on this machine only (see `server.check_exposure`), and even then
does not trust a browser: a page of another origin must neither read through a DNS name that points
here nor write with a form.
"""

import base64
import hashlib
from collections import OrderedDict
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from lenticular.settings import Right, Settings
from lenticular.web.access.browsers import is_forged
from lenticular.web.access.guessing import Brake, GuessingLimits, NewestFirst, TooManyAttempts
from lenticular.web.access.passwords import Users, same
from lenticular.web.access.rights import RightsOfRequests
from lenticular.web.errors import error_response
from lenticular.web.logs import USER

LOOPBACK_HOSTS = {"localhost", "127.0.0.1", "::1"}
OPEN_PATHS = {"/health"}
# A header for each scheme: Chromium understands neither in one line, and shows no sign-in.
CHALLENGES = ('Basic realm="Lenticular", charset="UTF-8"', "Bearer")
REMEMBERED = 1000
RETRY_AFTER_SECONDS = "10"

Rights = frozenset[Right]
Refusal = tuple[HTTPStatus, str]


@dataclass(frozen=True, slots=True)
class _Credentials:
    """The credentials of an Authorization header: a name and a password, or a token."""

    name: str = ""
    password: str = ""
    token: str = ""

    @classmethod
    def parse(cls, authorization: str) -> "_Credentials":
        scheme, _, credentials = authorization.partition(" ")
        if scheme.lower() == "bearer":
            return cls(token=credentials.strip())
        if scheme.lower() == "basic":
            with suppress(ValueError):  # neither ASCII nor Base64 nor UTF-8
                text = base64.b64decode(credentials, validate=True).decode()
                name, _, password = text.partition(":")
                return cls(name, password)
        return cls()


class AccessControl:
    """Let a request through when its credentials hold the right that its route needs."""

    def __init__(self, app: ASGIApp, settings: Settings, routes: Iterable[BaseRoute]) -> None:
        limits = GuessingLimits()
        self._app = app
        self._needed_rights = RightsOfRequests(routes)
        self._settings = settings
        self._users = Users(settings.users)
        self._brake = Brake(limits)
        self._hashing: NewestFirst[Rights | None] = NewestFirst(limits.most_waiting)
        self._remembered: OrderedDict[bytes, Rights] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 401, 403 or 429."""
        refusal = None
        if scope["type"] == "http" and scope["path"] not in OPEN_PATHS:
            refusal = await self._refusal(scope)
        if refusal is None:
            await self._app(scope, receive, send)
            return
        response = error_response(*refusal)
        if refusal[0] is HTTPStatus.UNAUTHORIZED:
            for challenge in CHALLENGES:
                response.headers.append("WWW-Authenticate", challenge)
        if refusal[0] is HTTPStatus.TOO_MANY_REQUESTS:
            response.headers["Retry-After"] = RETRY_AFTER_SECONDS
        await response(scope, receive, send)

    async def _refusal(self, scope: Scope) -> Refusal | None:
        """Return the refusal of a request, None if it may pass."""
        headers = Headers(scope=scope)
        needed = self._needed_rights.needed(scope)
        authorization = headers.get("authorization", "")
        # A page adds a bearer token itself; the browser never does.
        is_bearer = authorization[:7].lower() == "bearer "
        if needed == "write" and not is_bearer and self._is_forged(scope, headers):
            return HTTPStatus.FORBIDDEN, (
                "A web page of another origin may not write here. If it is yours, add its origin"
                " to allowed_origins; behind a proxy, set public_url."
            )
        if not self._settings.has_credentials:
            return self._other_host(headers)
        try:
            rights = await self._rights(scope, authorization)
        except TooManyAttempts:
            return HTTPStatus.TOO_MANY_REQUESTS, (
                "Too many attempts to sign in with wrong credentials; try again in a few seconds."
            )
        if rights is None:
            return HTTPStatus.UNAUTHORIZED, "Sign in with a user or a bearer token."
        return None if needed in rights else (HTTPStatus.FORBIDDEN, _lacking(needed))

    def _is_forged(self, scope: Scope, headers: Headers) -> bool:
        """Return True for a request that another origin's page made the browser send."""
        own_hosts = {headers.get("host", ""), urlsplit(self._settings.public_url).netloc}
        allowed = self._settings.allowed_origins
        if not self._settings.has_credentials:
            # Every page can reach this machine; `*` would let all of them write.
            allowed = allowed.replace("*", "")
        return is_forged(scope["method"], headers, own_hosts, allowed)

    def _other_host(self, headers: Headers) -> Refusal | None:
        """Refuse a request for another host than this machine, if no credentials are configured."""
        host = headers.get("host", "")
        if host == urlsplit(self._settings.public_url).netloc or _hostname(host) in LOOPBACK_HOSTS:
            return None
        return HTTPStatus.FORBIDDEN, (
            "No users are configured, so only http://127.0.0.1 and http://localhost are answered."
            " Set public_url or users."
        )

    async def _rights(self, scope: Scope, authorization: str) -> Rights | None:
        """Return the rights that the header grants; None if it matches no user or token."""
        digest = hashlib.sha256(authorization.encode()).digest()
        credentials = _Credentials.parse(authorization)
        rights = self._remembered.get(digest)
        if rights is None and authorization:
            address = (scope.get("client") or ("",))[0]
            async with self._brake.attempt(address):
                rights = await self._check(credentials, digest)
                if rights is None:
                    await self._brake.hold(address, credentials.name)
        if rights is not None:
            scope[USER] = credentials.name or f"token {digest.hex()[:8]}"
            self._remember(digest, rights)
        return rights

    async def _check(self, credentials: "_Credentials", digest: bytes) -> Rights | None:
        """Return the rights of these credentials, None if they are wrong."""
        for token in self._settings.tokens:
            if credentials.token and same(token.token, credentials.token):
                return token.rights
        if not credentials.name:
            return None
        rights = self._users.rights_of_plain(credentials.name, credentials.password)
        if rights is not None:
            return rights
        return await self._hashing.run(partial(self._hashed_rights, credentials, digest))

    def _hashed_rights(self, credentials: "_Credentials", digest: bytes) -> Rights | None:
        """Return the rights of a user with a hashed password, remembered after the first time."""
        # A viewer that opens sends the same credentials many times at once.
        remembered = self._remembered.get(digest)
        return remembered or self._users.rights_of(credentials.name, credentials.password)

    def _remember(self, digest: bytes, rights: Rights) -> None:
        """Remember these rights, and forget the oldest if there are too many."""
        self._remembered[digest] = rights
        while len(self._remembered) > REMEMBERED:
            self._remembered.popitem(last=False)


def _lacking(needed: Right) -> str:
    """Return the sentence for credentials without the right that is needed."""
    other = "read" if needed == "write" else "write"
    return f"These credentials may {other} but not {needed}."


def _hostname(host: str) -> str:
    """Return the host name without its port."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
