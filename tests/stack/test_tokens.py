"""API Gateway asks the authoriser, which asks a real issuer for its keys.

LocalStack does what the policy of the authoriser says, so this shows that the gateway asks it,
what it answers, and what comes of that. Two things show on AWS only: that an answer is kept for
five minutes, and that requests are refused whose AWS signature is wrong (Authorizer=AWS_IAM).
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import samples
from tests.issuer import Issuer, issuer
from tests.stack.asking import DICOM
from tests.stack.conftest import Stack, opened

ROOT = Path(__file__).parents[2]
READ, WRITE = "lenticular/read", "lenticular/write"
SEARCH = ("GET", "/dicom-web/studies?limit=1")
LOOK_UP = ("POST", "/tools/find")
STORE = ("POST", "/dicom-web/studies")


@pytest.fixture(scope="module")
def tokens() -> Iterator[Issuer]:
    with issuer() as running:
        yield running


@pytest.fixture(scope="module")
def guarded(stack, tokens) -> Iterator[Stack]:
    """The template once more beside the stack that runs, with tokens of this issuer."""
    parameters = [
        "Authorizer=OidcAuthorizer",
        f"OidcIssuer={tokens.url}",
        "OidcAudience=lenticular",
    ]
    done = subprocess.run(
        [sys.executable, ROOT / "localstack" / "stack.py", "deploy", "guarded", *parameters],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    running = opened(json.loads(done.stdout))
    with running.http:
        yield running


def ask(stack: Stack, method: str, path: str, token: str | None):
    headers = {"Origin": "https://viewer.example", "Content-Type": DICOM}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    if method == "POST" and path == LOOK_UP[1]:
        headers["Content-Type"] = "application/json"
        body = b'{"Level": "Study", "Query": {}}'
    else:
        body = samples.ct("guarded") if method == "POST" else None
    return stack.request(method, path, data=body, headers=headers)


@pytest.mark.parametrize(("method", "path"), [SEARCH, LOOK_UP, STORE], ids=["GET", "find", "STOW"])
def test_nobody_comes_in_without_a_token(guarded, method, path):
    answer = ask(guarded, method, path, None)
    assert answer.status_code == 401
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


def test_nobody_comes_in_with_a_token_that_is_not_in_force_or_not_for_us(guarded, tokens):
    with issuer() as another:
        forged = another.token(READ, iss=tokens.url)
    refused = [
        *("nonsense", "a.b.c", forged),
        tokens.token(READ, exp=int(time.time()) - 3600),
        tokens.token(READ, aud="others"),
    ]
    statuses = [ask(guarded, *SEARCH, token).status_code for token in refused]
    assert statuses == [401] * len(refused)


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        (READ, [200, 200, 403]),
        (WRITE, [403, 403, 200]),
        (f"openid {READ} {WRITE}", [200, 200, 200]),
        ("openid", [403, 403, 403]),
    ],
    ids=["read", "write", "both", "neither"],
)
def test_scopes_say_who_may_search_look_up_and_store(guarded, tokens, scope, expected):
    token = tokens.token(scope)
    statuses = [ask(guarded, *request, token).status_code for request in (SEARCH, LOOK_UP, STORE)]
    assert statuses == expected


def test_a_page_may_ask_beforehand_without_a_token(guarded):
    answer = guarded.request("OPTIONS", SEARCH[1], headers={"Origin": "https://viewer.example"})
    assert answer.status_code == 204
