"""An OIDC issuer on this machine: it publishes its key, and signs what tests want to claim.

A browser signs in at it too: OpenID Connect Core 1.0, by the authorization code flow of a public
client with PKCE (RFC 7636).
"""

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

SIGNED_IN = "signed_in_as"
FORM = """<!doctype html><title>Sign in</title><link rel="icon" href="data:,">
<form method="post"><input name="user" required><button>Sign in</button></form>"""


class Issuer(ThreadingHTTPServer):
    """OpenID Connect Discovery 1.0 and RFC 7517, and a page to sign in at."""

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Requests)
        self.url = f"http://127.0.0.1:{self.server_port}"
        # Whoever remembers the keys of an earlier issuer at this address has to ask for ours.
        self._key_id = secrets.token_hex(8)
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        public = jwt.algorithms.RSAAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        self.documents = {
            "/.well-known/openid-configuration": {
                "issuer": self.url,
                "jwks_uri": f"{self.url}/keys",
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
                "end_session_endpoint": f"{self.url}/end",
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "code_challenge_methods_supported": ["S256"],
            },
            "/keys": {"keys": [{**public, "kid": self._key_id, "alg": "RS256", "use": "sig"}]},
        }
        self._codes: dict[str, tuple[str, dict[str, str]]] = {}

    def token(self, scope: str, **claims: Any) -> str:
        """A token for these scopes, good for an hour unless its claims say otherwise."""
        values = {
            **{"iss": self.url, "sub": "ann", "aud": "lenticular", "scope": scope},
            **{"iat": int(time.time()), "exp": int(time.time()) + 3600},
            **claims,
        }
        return jwt.encode(values, self._key, "RS256", {"kid": self._key_id})

    def code_for(self, user: str, asked: dict[str, str]) -> str:
        """What the browser brings back to whoever has asked, to be changed for tokens once."""
        code = secrets.token_urlsafe()
        self._codes[code] = (user, asked)
        return code

    def tokens_for(self, form: Mapping[str, str]) -> dict[str, Any] | None:
        """The tokens for a code, if it is the one who asked that brings it."""
        user, asked = self._codes.pop(form.get("code", ""), ("", {}))
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        same = ("client_id", "redirect_uri")
        if asked.get("code_challenge") != challenge or any(
            form.get(name) != asked[name] for name in same
        ):
            return None
        about = {"aud": asked["client_id"], "sub": user}
        return {
            "access_token": self.token(asked["scope"], sub=user, aud=asked["audience"]),
            "id_token": self.token("", **about, nonce=asked.get("nonce")),
            "token_type": "Bearer",
            "expires_in": 3600,
            "scope": asked["scope"],
        }


class _Requests(BaseHTTPRequestHandler):
    server: Issuer

    def do_GET(self) -> None:
        path, asked = urlsplit(self.path).path, dict(parse_qsl(urlsplit(self.path).query))
        if path == "/authorize":
            user = self.headers.get("Cookie", "").partition(f"{SIGNED_IN}=")[2]
            return self._let_in(user) if user else self._answer(200, "text/html", FORM)
        if path == "/end":
            return self._go_back("", asked["post_logout_redirect_uri"])
        found = self.server.documents.get(self.path)
        return self._answer(200 if found else 404, "application/json", json.dumps(found))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        form = dict(parse_qsl(body))
        if urlsplit(self.path).path == "/authorize":
            return self._let_in(form["user"])
        tokens = self.server.tokens_for(form)
        found = json.dumps(tokens or {"error": "invalid_grant"})
        return self._answer(200 if tokens else 400, "application/json", found)

    def _let_in(self, user: str) -> None:
        asked = dict(parse_qsl(urlsplit(self.path).query))
        answer = {"code": self.server.code_for(user, asked), "state": asked["state"]}
        self._go_back(user, f"{asked['redirect_uri']}?{urlencode(answer)}")

    def _go_back(self, user: str, url: str) -> None:
        self.send_response(303)
        self.send_header("Set-Cookie", f"{SIGNED_IN}={user}; HttpOnly")
        self.send_header("Location", url)
        self.end_headers()

    def _answer(self, status: int, media_type: str, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        # Pages of others change codes for tokens.
        self.send_header("Access-Control-Allow-Origin", "*")
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *arguments: Any) -> None:
        pass


@contextmanager
def issuer(port: int = 0) -> Iterator[Issuer]:
    """An issuer that answers while this lasts."""
    with Issuer(port) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()
