"""The authoriser: genuine tokens of the configured issuer, and nothing else."""

import json
import re
import threading
import time
from fnmatch import fnmatchcase
from http.server import BaseHTTPRequestHandler, HTTPServer

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from lenticular.web.access.rights import right_of_route
from lenticular.web.routers import all_routers
from tests.helpers.aws.api_gateway import Context

ARN = "arn:aws:execute-api:eu-central-1:123456789012:abc123/v1/GET/dicom-web/studies"
API = "arn:aws:execute-api:eu-central-1:123456789012:abc123/v1"


class _Issuer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        url = f"http://127.0.0.1:{self.server.server_port}"
        documents = {
            "/.well-known/openid-configuration": {"issuer": url, "jwks_uri": f"{url}/keys"},
            "/keys": {"keys": self.server.keys},
        }
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(documents[self.path]).encode())

    def log_message(self, *arguments) -> None:
        pass


@pytest.fixture(scope="module")
def private_keys():
    return {
        "RS256": rsa.generate_private_key(public_exponent=65537, key_size=2048),
        "ES256": ec.generate_private_key(ec.SECP256R1()),
    }


def public_key(algorithm: str, key) -> dict:
    make = {"RS256": jwt.algorithms.RSAAlgorithm, "ES256": jwt.algorithms.ECAlgorithm}[algorithm]
    return {**make.to_jwk(key.public_key(), as_dict=True), "kid": algorithm, "alg": algorithm}


@pytest.fixture
def issuer(private_keys):
    with HTTPServer(("127.0.0.1", 0), _Issuer) as server:
        server.keys = [public_key(name, key) for name, key in private_keys.items()]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        server.url = f"http://127.0.0.1:{server.server_port}"
        yield server
        server.shutdown()


@pytest.fixture
def authorizer(import_function, issuer, monkeypatch):
    module = import_function("authorizer.handler")
    tokens = import_function("authorizer.tokens")
    monkeypatch.setattr(module, "issuer", tokens.Issuer(issuer.url, "lenticular"))
    return module


@pytest.fixture
def make_token(issuer, private_keys):
    def make(algorithm: str = "RS256", key_id: str | None = None, **claims: object) -> str:
        now = int(time.time())
        standard = {
            "iss": issuer.url,
            "sub": "ann",
            "aud": "lenticular",
            "iat": now,
            "exp": now + 600,
            "scope": "openid lenticular/read",
        }
        given = {name: value for name, value in {**standard, **claims}.items() if value is not None}
        return jwt.encode(
            given, private_keys[algorithm], algorithm, headers={"kid": key_id or algorithm}
        )

    return make


def ask(authorizer, authorization: str) -> dict:
    event = {"type": "TOKEN", "authorizationToken": authorization, "methodArn": ARN}
    return authorizer.handler(event, Context())


def allowed(answer: dict) -> list[str]:
    return resources(answer, "Allow")


def resources(answer: dict, effect: str) -> list[str]:
    statements = answer["policyDocument"]["Statement"]
    return [path for one in statements if one["Effect"] == effect for path in one["Resource"]]


def test_only_who_may_write_looks_at_uploads_since_that_gives_urls_to_put_to(
    authorizer, make_token
):
    reader = ask(authorizer, f"Bearer {make_token()}")
    assert resources(reader, "Deny") == [f"{API}/GET/uploads/*", f"{API}/HEAD/uploads/*"]
    writer = ask(authorizer, f"Bearer {make_token(scope='lenticular/write')}")
    assert f"{API}/GET/uploads/*" in allowed(writer)
    both = ask(authorizer, f"Bearer {make_token(scope='lenticular/read lenticular/write')}")
    assert resources(both, "Deny") == []


def test_the_policy_gives_each_route_to_those_who_hold_its_right(import_function):
    policy_for = import_function("authorizer.policy").policy_for
    policies = {right: policy_for("ann", [right], ARN) for right in ("read", "write")}
    routes = [route for router in all_routers() for route in router.routes]

    for route in routes:
        for method in route.methods - {"OPTIONS"}:  # which API Gateway answers itself
            path = re.sub("{.*?}", "x", route.path)
            for request in (f"{API}/{method}{path}", f"{API}/{method}{path.rstrip('/')}/"):
                may = {right for right, policy in policies.items() if is_allowed(policy, request)}
                assert may == {right_of_route(route)}, request


def is_allowed(policy: dict, request: str) -> bool:
    matches = {
        effect: any(fnmatchcase(request, each) for each in resources(policy, effect))
        for effect in ("Allow", "Deny")
    }
    return matches["Allow"] and not matches["Deny"]


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_a_genuine_token_lets_its_bearer_read(authorizer, make_token, algorithm):
    answer = ask(authorizer, f"Bearer {make_token(algorithm)}")
    assert answer["principalId"] == "ann"
    assert f"{API}/GET/*" in allowed(answer)
    assert f"{API}/POST/tools/find" in allowed(answer)
    assert not [resource for resource in allowed(answer) if "DELETE" in resource]


@pytest.mark.parametrize(
    "claims",
    [
        {"scope": "lenticular/write"},
        {"scope": None, "scp": ["lenticular/write", "other"]},
        {"scope": "lenticular/write", "aud": ["other", "lenticular"]},
        {"scope": "lenticular/write", "aud": None, "client_id": "lenticular"},
    ],
)
def test_scopes_and_audiences_are_read_wherever_issuers_put_them(authorizer, make_token, claims):
    resources = allowed(ask(authorizer, f"Bearer {make_token(**claims)}"))
    assert f"{API}/DELETE/*" in resources
    assert f"{API}/POST/dicom-web/*" in resources
    reading = [path for path in resources if "GET" in path or "tools" in path]
    assert reading == [f"{API}/GET/uploads/*"]


def test_a_token_without_our_scopes_may_do_nothing(authorizer, make_token):
    assert allowed(ask(authorizer, f"Bearer {make_token(scope='openid')}")) == []


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": 1},
        {"exp": None},
        {"nbf": 4_000_000_000},
        {"iss": "https://evil.example"},
        {"aud": "other"},
        {"aud": None},
        {"sub": None},
        {"key_id": "unknown"},
        {"algorithm": "ES256", "key_id": "RS256"},
    ],
    ids=str,
)
def test_any_other_token_lets_nobody_in(authorizer, make_token, claims):
    with pytest.raises(Exception, match=r"^Unauthorized$"):
        ask(authorizer, f"Bearer {make_token(**claims)}")


@pytest.mark.parametrize("text", ["", "Bearer", "Bearer ", "Bearer a.b.c", "Basic YTpi", "x y z"])
def test_nonsense_lets_nobody_in(authorizer, text):
    with pytest.raises(Exception, match=r"^Unauthorized$"):
        ask(authorizer, text)


def test_unsigned_and_symmetric_tokens_let_nobody_in(authorizer, make_token):
    claims = jwt.decode(make_token(), options={"verify_signature": False})
    for token in (
        jwt.encode(claims, None, "none", headers={"kid": "RS256"}),
        jwt.encode(claims, "s" * 32, "HS256", headers={"kid": "RS256"}),
    ):
        with pytest.raises(Exception, match=r"^Unauthorized$"):
            ask(authorizer, f"Bearer {token}")


def test_a_new_key_of_the_issuer_is_asked_for(authorizer, issuer, make_token, monkeypatch):
    keys = issuer.keys
    issuer.keys = keys[:1]
    ask(authorizer, f"Bearer {make_token('RS256')}")
    issuer.keys = keys
    # Unknown keys make it ask once in half a minute at most; let that have passed.
    monkeypatch.setattr(authorizer.issuer._keys, "cooldown_duration", 0)
    assert allowed(ask(authorizer, f"Bearer {make_token('ES256')}"))


def test_an_issuer_that_is_down_is_not_the_fault_of_the_token(
    authorizer, import_function, make_token, monkeypatch
):
    tokens = import_function("authorizer.tokens")
    monkeypatch.setattr(authorizer, "issuer", tokens.Issuer("http://127.0.0.1:9", "lenticular"))
    with pytest.raises(OSError, match="refused"):
        ask(authorizer, f"Bearer {make_token()}")
