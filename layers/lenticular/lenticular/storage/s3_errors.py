"""Translate the errors of the S3 client library to the language's own."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from boto3.exceptions import S3UploadFailedError
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    ReadTimeoutError,
)

from lenticular.storage.protocol import Archived

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

_MISSING = frozenset({"NoSuchKey", "NoSuchUpload", "NotFound", "NoSuchVersion", "404"})
_DENIED = frozenset({"AccessDenied", "403", "Forbidden", "InvalidAccessKeyId", "ExpiredToken"})
_SLOW = frozenset({"RequestTimeout", "SlowDown", "ServiceUnavailable", "503"})
_TIMEOUTS = (ConnectTimeoutError, ReadTimeoutError)
_ARCHIVED = frozenset({"InvalidObjectState"})
_PAST_THE_END = frozenset({"InvalidRange", "416"})


SECONDS_OF_SILENCE = 3.0
"""For so long after a call that was not answered in time, no other is made."""

_NOT_IN_TIME = "The storage does not answer in time."


class FailFast:
    """Fails calls at once for a while after one was not answered in time.

    A request makes many calls, one after the other or side by side. If each of them waited in vain,
    its client would have no answer in minutes.
    """

    def __init__(self, client: "S3Client") -> None:
        self._until = 0.0
        client.meta.events.register("before-call.s3", self._check)
        client.meta.events.register("after-call-error.s3", self._note)

    def _check(self, **_: Any) -> None:
        if time.monotonic() < self._until:
            raise TimeoutError(_NOT_IN_TIME)

    def _note(self, exception: Exception, **_: Any) -> None:
        if isinstance(exception, _TIMEOUTS):
            self._until = time.monotonic() + SECONDS_OF_SILENCE


class PastTheEnd(Exception):
    """The range begins behind the last byte."""


@contextmanager
def own_errors(key: str) -> Iterator[None]:
    """Raise the language's own errors in place of the client library's."""
    try:
        yield
    except ClientError as error:
        raise _own_error(_code(error), key) from error
    except _TIMEOUTS as error:
        raise TimeoutError(_NOT_IN_TIME) from error
    except (BotoCoreError, S3UploadFailedError) as error:
        raise OSError(f"The storage cannot be used: {type(error).__name__}.") from error


def is_missing(error: ClientError) -> bool:
    """Return True if the error says that there is no such object."""
    return _code(error) in _MISSING


def archived() -> Archived:
    """Return the error of an object that has to be restored before it can be read."""
    return Archived("The file is in an archive of the storage and has to be restored first.")


def _own_error(code: str, key: str) -> Exception:
    if code in _MISSING:
        # Not the whole key: errors are logged, and dropped files may be named after patients.
        return FileNotFoundError(f"There is no such object under {key.partition('/')[0]}/.")
    if code in _ARCHIVED:
        return archived()
    if code in _PAST_THE_END:
        return PastTheEnd()
    if code in _DENIED:
        return PermissionError(f"The storage does not allow this ({code}).")
    if code in _SLOW:
        return TimeoutError(f"The storage is overloaded ({code}).")
    return OSError(f"The storage refuses this ({code}).")


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
