"""An OIDC issuer on this machine: it publishes its key, and signs what tests want to claim."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

KEY_ID = "of-tests"


class Issuer(ThreadingHTTPServer):
    """OpenID Connect Discovery 1.0 and RFC 7517, and no more of either than an API needs."""

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Documents)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        public = jwt.algorithms.RSAAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        self.documents = {
            "/.well-known/openid-configuration": {
                "issuer": self.url,
                "jwks_uri": f"{self.url}/keys",
            },
            "/keys": {"keys": [{**public, "kid": KEY_ID, "alg": "RS256", "use": "sig"}]},
        }

    def token(self, scope: str, **claims: Any) -> str:
        """A token for these scopes, good for an hour unless its claims say otherwise."""
        values = {
            **{"iss": self.url, "sub": "ann", "aud": "lenticular", "scope": scope},
            **{"iat": int(time.time()), "exp": int(time.time()) + 3600},
            **claims,
        }
        return jwt.encode(values, self._key, "RS256", {"kid": KEY_ID})


class _Documents(BaseHTTPRequestHandler):
    server: Issuer

    def do_GET(self) -> None:
        found = self.server.documents.get(self.path)
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(found).encode())

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
