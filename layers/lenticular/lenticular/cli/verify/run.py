"""Run checks one after the other, note their results, and remove what they stored."""

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import urllib3

from lenticular.cli.verify.samples import SampleInstance
from lenticular.client.connection import Authorizer, UploadFailed, reason

if TYPE_CHECKING:
    from lenticular.cli.verify.aws import DeployedStack

OK, FAILED, NOT_CHECKED = "ok", "failed", "not checked"

NEEDED = ("health", "sign in")

# A database that wakes up answers 503 with Retry-After for up to half a minute.
_RETRIES = urllib3.Retry(
    total=None,
    connect=1,
    read=0,
    redirect=0,
    status=6,
    other=0,
    status_forcelist=(429, 503, 504),
    allowed_methods=None,
    backoff_factor=1,
    raise_on_status=False,
    raise_on_redirect=False,
)
_TIMEOUT = urllib3.Timeout(connect=15, read=120)
_PATIENCE_SECONDS = 120
_POLL_SECONDS = 1


class CheckFailed(Exception):
    """A check failed; the message says what is wrong and what to do."""


class NotChecked(Exception):
    """A check was not made; the message is the reason."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one check."""

    name: str
    status: str
    detail: str


@dataclass
class Verification:
    """A server to verify, the ways to sign in, and what was stored there so far."""

    url: str
    authorizers: Sequence[Authorizer] = ()
    origin: str = ""
    drop_folder: Path | None = None
    stack: "DeployedStack | None" = None
    stored: list[SampleInstance] = field(default_factory=list)
    undo: list[Callable[[], object]] = field(default_factory=list)
    _pool: urllib3.PoolManager = field(
        default_factory=lambda: urllib3.PoolManager(maxsize=8, timeout=_TIMEOUT, retries=_RETRIES)
    )

    def call(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        *,
        signed_by: Authorizer | None = None,
    ) -> urllib3.BaseHTTPResponse:
        """Send a request with the first credentials, or with those of `signed_by`."""
        authorizer = signed_by or next(iter(self.authorizers), None)
        url, headers = f"{self.url}{path}", headers or {}
        signature = authorizer.headers(method, url, headers, body) if authorizer else {}
        return self.fetch(method, url, body, {**headers, **signature})

    def fetch(
        self,
        method: str,
        url: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> urllib3.BaseHTTPResponse:
        """Send a request without credentials, to any address; redirects are not followed."""
        try:
            return self._pool.request(method, url, body=body, headers=headers, redirect=False)
        except urllib3.exceptions.HTTPError as error:
            raise CheckFailed(f"{method} {url.partition('?')[0]}: {error}") from error

    def expect(
        self, wanted: Iterable[int], method: str, path: str, *request: Any
    ) -> urllib3.BaseHTTPResponse:
        """Send a request whose answer must have one of these statuses."""
        answer = self.call(method, path, *request)
        if answer.status not in wanted:
            raise CheckFailed(f"{method} {path} is answered {reason(answer)}.")
        return answer


def run(
    verification: Verification, checks: Iterable[tuple[str, Callable[[Verification], str]]]
) -> Iterable[CheckResult]:
    """Make every check and yield its result; at the end, or after Ctrl-C, clean up.

    Without health or sign-in the others cannot be made.
    """
    with ExitStack() as cleanup:
        cleanup.callback(_undo, verification)
        obstacle = ""
        for name, check in checks:
            if obstacle:
                yield CheckResult(name, NOT_CHECKED, f"because of {obstacle}.")
                continue
            result = _result(name, check, verification)
            yield result
            if result.status == FAILED and name in NEEDED:
                obstacle = name
        cleanup.pop_all()
    yield _result("clean up", _undo, verification)


def eventually(condition: Callable[[], bool], otherwise: str) -> None:
    """Wait until the condition holds; fail with the sentence if it does not."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise CheckFailed(f"{otherwise} ({_PATIENCE_SECONDS} s)")
        time.sleep(_POLL_SECONDS)


def _result(
    name: str, check: Callable[[Verification], str], verification: Verification
) -> CheckResult:
    try:
        return CheckResult(name, OK, check(verification))
    except NotChecked as error:
        return CheckResult(name, NOT_CHECKED, str(error))
    except (CheckFailed, UploadFailed) as error:
        return CheckResult(name, FAILED, str(error))
    except Exception as error:  # an answer of another shape: one check must not end the others
        return CheckResult(name, FAILED, f"The answer is not as expected: {error!r}")


def _undo(verification: Verification) -> str:
    """Delete every study that was stored, and what the checks left elsewhere."""
    left = [each.study for each in verification.stored if not _is_gone(verification, each)]
    for undo in verification.undo:
        undo()
    if left:
        raise CheckFailed(f"Delete these studies yourself: {', '.join(left)}.")
    return f"{len(verification.stored)} studies deleted"


def _is_gone(verification: Verification, sample: SampleInstance) -> bool:
    try:
        return verification.call("DELETE", sample.study_path).status in (200, 204, 404, 410)
    except (CheckFailed, UploadFailed):
        return False
