"""The deployed authoriser, in the Lambda runtime, asks a real issuer for its keys.

The free LocalStack never calls an authoriser, so the function is called here as API Gateway calls
it, and its policy is read as IAM reads it. That the gateway asks it, and refuses what is not
signed, shows on AWS only.
"""

import time

import pytest

from tests.helpers.aws.deployed_authorizer import (
    DELETE,
    LOOK_UP,
    REQUESTS,
    SEARCH,
    STORE,
    UPLOAD,
    allowed,
    ask,
)
from tests.helpers.oidc_issuer import issuer

READ, WRITE = "lenticular/read", "lenticular/write"


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
