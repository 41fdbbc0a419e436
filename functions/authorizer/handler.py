"""The authoriser of the API: a token of the configured OIDC issuer, and what its scopes allow."""

import start  # isort: split

import os
from typing import Any

from authorizer.policy import policy_for
from authorizer.tokens import InvalidToken, Issuer, rights_of
from shared import logger, observed

issuer = Issuer(os.environ["OIDC_ISSUER"], os.environ["OIDC_AUDIENCE"])
scopes = {"read": os.environ["OIDC_READ_SCOPE"], "write": os.environ["OIDC_WRITE_SCOPE"]}


def respond(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Return the policy for the bearer of the token; API Gateway makes 401 of the exception."""
    try:
        claims = issuer.verify(event.get("authorizationToken", ""))
    except InvalidToken as error:
        logger.info("token refused", reason=str(error))
        raise Unauthorized("Unauthorized") from error
    return policy_for(claims["sub"], rights_of(claims, scopes), event["methodArn"])


class Unauthorized(Exception):
    """API Gateway knows this by its message, which has to be exactly `Unauthorized`."""


handler = observed(respond)
start.finish()
