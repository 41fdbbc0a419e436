"""The deployed authoriser, in the Lambda runtime, asks a real issuer for its keys.

The free LocalStack never calls an authoriser, so the function is called here as API Gateway calls
it, and its policy is read as IAM reads it. That the gateway asks it, and refuses what is not
signed, shows on AWS only.
"""

import json
import time
from collections.abc import Iterator
from fnmatch import fnmatchcase
from urllib.parse import urlsplit

import pytest

from tests.issuer import Issuer, issuer

API = "arn:aws:execute-api:eu-central-1:000000000000:abc123/v1"
READ, WRITE = "lenticular/read", "lenticular/write"
REQUESTS = SEARCH, LOOK_UP, STORE, DELETE, UPLOAD = tuple(
    f"{API}/{request}"
    for request in (
        "GET/dicom-web/studies",
        "POST/tools/find",
        "POST/dicom-web/studies",
        "DELETE/studies/1",
        "GET/uploads/1",
    )
)


@pytest.fixture(scope="module")
def tokens(stack) -> Iterator[Issuer]:
    """The issuer that the stack was deployed for."""
    with issuer(urlsplit(stack.issuer).port) as running:
        yield running


def ask(stack, authorization: str) -> dict:
    """What the authoriser says of this header."""
    event = {"type": "TOKEN", "authorizationToken": authorization, "methodArn": SEARCH}
    answer = stack.lambda_.invoke(FunctionName=stack.authorizer, Payload=json.dumps(event))
    return json.loads(answer["Payload"].read())


def allowed(answer: dict) -> set[str]:
    """What IAM makes of the policy: whatever is allowed and not denied as well."""
    matching: dict[str, set[str]] = {"Allow": set(), "Deny": set()}
    for statement in answer["policyDocument"]["Statement"]:
        for pattern in statement["Resource"]:
            found = {each for each in REQUESTS if fnmatchcase(each, pattern)}
            matching[statement["Effect"]] |= found
    return matching["Allow"] - matching["Deny"]


def test_a_token_that_is_not_in_force_not_for_us_or_forged_lets_nobody_in(stack, tokens):
    with issuer() as another:
        forged = another.token(READ, iss=tokens.url)
    refused = [
        *("nonsense", "a.b.c", forged),
        tokens.token(READ, exp=int(time.time()) - 3600),
        tokens.token(READ, aud="others"),
    ]
    answers = [ask(stack, f"Bearer {token}") for token in refused]
    assert [answer.get("errorMessage") for answer in answers] == ["Unauthorized"] * len(refused)


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        (READ, {SEARCH, LOOK_UP}),
        (WRITE, {STORE, DELETE, UPLOAD}),
        (f"openid {READ} {WRITE}", set(REQUESTS)),
        ("openid", set()),
    ],
    ids=["read", "write", "both", "neither"],
)
def test_scopes_say_who_may_search_look_up_store_and_delete(stack, tokens, scope, expected):
    answer = ask(stack, f"Bearer {tokens.token(scope)}")
    assert answer["principalId"] == "ann"
    assert allowed(answer) == expected
