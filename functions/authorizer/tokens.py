"""Bearer tokens of an OIDC issuer: JWTs, verified with the keys that the issuer publishes.

OpenID Connect Discovery 1.0, RFC 7517 (keys), RFC 7519 (tokens), RFC 9068 (scopes in tokens).
"""

import json
import urllib.request
from collections.abc import Mapping
from typing import Any

import jwt

ALGORITHMS = ["RS256", "ES256"]
LEEWAY_SECONDS = 60
TIMEOUT_SECONDS = 5
KEYS_SECONDS = 3600


class InvalidToken(Exception):
    """The token does not let its bearer in; the message says why, without the token."""


class Issuer:
    """An OIDC issuer. Its keys are fetched once, and again when it has new ones."""

    def __init__(self, url: str, audience: str) -> None:
        self._url = url.rstrip("/")
        self._audience = audience
        self._keys: jwt.PyJWKClient | None = None

    def verify(self, authorization: str) -> dict[str, Any]:
        """Return the claims of a bearer token that is genuine, for our audience and in force."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise InvalidToken("not a bearer token")
        try:
            jwt.get_unverified_header(token)  # nonsense must not make us ask for new keys
            key = self._key_client().get_signing_key_from_jwt(token.strip())
            claims: dict[str, Any] = jwt.decode(
                token.strip(),
                key,
                ALGORITHMS,
                leeway=LEEWAY_SECONDS,
                options={
                    "require": ["exp", "iss", "sub"],
                    "verify_aud": False,
                    "verify_iss": False,
                },
            )
        except jwt.PyJWKClientConnectionError:
            raise  # the issuer is down: that says nothing about the token
        except jwt.PyJWTError as error:
            raise InvalidToken(type(error).__name__) from error
        self._check(claims)
        return claims

    def _check(self, claims: Mapping[str, Any]) -> None:
        if str(claims["iss"]).rstrip("/") != self._url:
            raise InvalidToken("wrong issuer")
        # Cognito's access tokens name the client instead of an audience.
        audiences = claims.get("aud", claims.get("client_id", ""))
        if self._audience not in ([audiences] if isinstance(audiences, str) else audiences):
            raise InvalidToken("wrong audience")

    def _key_client(self) -> jwt.PyJWKClient:
        if self._keys is None:
            address = f"{self._url}/.well-known/openid-configuration"
            with urllib.request.urlopen(address, timeout=TIMEOUT_SECONDS) as response:
                configuration = json.load(response)
            self._keys = jwt.PyJWKClient(
                configuration["jwks_uri"], lifespan=KEYS_SECONDS, timeout=TIMEOUT_SECONDS
            )
        return self._keys


def rights_of(claims: Mapping[str, Any], scopes: Mapping[str, str]) -> frozenset[str]:
    """Return the rights of the scopes of a token: `scope` is a string, `scp` may be a list."""
    granted = claims.get("scope", claims.get("scp", ""))
    names = set(granted.split() if isinstance(granted, str) else granted)
    return frozenset(right for right, scope in scopes.items() if scope in names)
