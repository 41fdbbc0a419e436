"""User and password of a database out of AWS Secrets Manager, where others may change them.

A secret is JSON as RDS writes it: `{"username": …, "password": …}`, and more.
"""

from functools import cached_property
from typing import TYPE_CHECKING, Any

from lenticular.errors import Unavailable

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.parameters import SecretsProvider

SECONDS_KEPT = 900
"""Seconds for which a secret that was read is used, as long as the database accepts it."""

_SECONDS_TO_CONNECT = 3
_SECONDS_TO_READ = 5
_PASSING = frozenset({"InternalServiceError", "ThrottlingException", "RequestTimeout"})


class Secret:
    """A secret by its ARN or name. AWS's client is imported when it is first read."""

    def __init__(
        self, name: str, region: str | None = None, seconds_kept: int = SECONDS_KEPT
    ) -> None:
        self._name = name
        self._seconds_kept = seconds_kept
        # arn:aws:secretsmanager:REGION:…, which may be another one than ours
        self._region = name.split(":")[3] if name.startswith("arn:") else region

    def read(self, *, anew: bool = False) -> dict[str, str]:
        """Return user and password by the driver's names; read anew after a refusal."""
        from aws_lambda_powertools.utilities.parameters.exceptions import (
            GetParameterError,
            TransformParameterError,
        )

        try:
            values: Any = self._provider.get(
                self._name, max_age=self._seconds_kept, transform="json", force_fetch=anew
            )
            user = {"user": values["username"]} if "username" in values else {}
            return {**user, "password": values["password"]}
        except GetParameterError as error:
            raise _refusal(self._name, error) from error
        except (TransformParameterError, TypeError, KeyError) as error:
            raise LookupError(
                f"The secret {self._name} should be a JSON object with a password."
            ) from error

    @cached_property
    def _provider(self) -> "SecretsProvider":
        import boto3
        from aws_lambda_powertools.utilities.parameters import SecretsProvider
        from botocore.config import Config

        client = boto3.Session(region_name=self._region).client(
            "secretsmanager",
            config=Config(
                connect_timeout=_SECONDS_TO_CONNECT,
                read_timeout=_SECONDS_TO_READ,
                retries={"total_max_attempts": 2},
            ),
        )
        return SecretsProvider(boto3_client=client)


def _refusal(name: str, error: Exception) -> Exception:
    """Return the error for a secret that cannot be read: temporary, or a missing permission."""
    from botocore.exceptions import ClientError, ConnectionError, HTTPClientError

    cause = error.__cause__ or error.__context__
    reason = type(cause).__name__
    if isinstance(cause, ClientError):
        reason = cause.response["Error"]["Code"]
    if reason in _PASSING or isinstance(cause, ConnectionError | HTTPClientError):
        return Unavailable("Secrets Manager does not answer now; try again in a moment.")
    return LookupError(f"The secret {name} cannot be read: {reason}.")
