"""Checks of who is let in: strangers, wrong and right credentials, pages of other origins."""

import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import urlsplit

from lenticular.cli.verify.run import CheckFailed, NotChecked, Verification
from lenticular.cli.verify.samples import new_uid
from lenticular.client.connection import Authorizer, reason
from lenticular.client.streamed_body import Body
from lenticular.dicom import tags
from lenticular.web.routers import all_routers

SEARCH = "/dicom-web/studies?limit=1"
REFUSED = (401, 403)
SHOWN = 3
_THIS_MACHINE = ("127.0.0.1", "localhost", "::1")
# Open to everybody: OHIF's files name nothing that is stored, and load balancers ask for health.
_OPEN = re.compile("/health|/ohif(/.*)?")
_VALUES = {
    **{"collection": "studies", "relation": "series", "kind": "preview"},
    "path": tags.PIXEL_DATA,
}
# Stages that SAM and consoles make beside the one of the template.
_STAGES = ("Stage", "Prod", "prod", "dev", "test", "default", "v2")


@dataclass(frozen=True, slots=True)
class Forged:
    """Credentials with one character of their secret half changed."""

    genuine: Authorizer

    def headers(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | Body | None
    ) -> dict[str, str]:
        """Return the headers of the genuine credentials, with another Authorization."""
        signed = self.genuine.headers(method, url, headers, body)
        name = next(name for name in signed if name.lower() == "authorization")
        # The last characters of Base64 may be padding or carry no bits.
        value = signed[name]
        other = "1" if value[-4] != "1" else "2"
        return {**signed, name: f"{value[:-4]}{other}{value[-3:]}"}


def sign_in(verification: Verification) -> str:
    """Check that each of the given credentials is let in."""
    if not verification.authorizers:
        raise NotChecked("give --sign, --token or --user.")
    for authorizer in verification.authorizers:
        answer = verification.call("GET", SEARCH, signed_by=authorizer)
        if answer.status not in (200, 204):
            raise CheckFailed(
                f"Your credentials are answered {reason(answer)}. Check the parameter Authorizer,"
                " and that issuer, audience, scopes or the policy of your role fit."
            )
    return f"{len(verification.authorizers)} let in"


def forged(verification: Verification) -> str:
    """Check that each of the given credentials is refused when it is changed."""
    if not verification.authorizers:
        raise NotChecked("give --sign, --token or --user.")
    for authorizer in verification.authorizers:
        answer = verification.call("GET", SEARCH, signed_by=Forged(authorizer))
        if answer.status not in REFUSED:
            raise CheckFailed(
                f"Forged credentials are answered {reason(answer)}: nobody checks them."
                " Take the API offline and check its authorizer."
            )
    return f"{len(verification.authorizers)} refused after a change of one character"


def anonymous(verification: Verification) -> str:
    """Check that every route refuses requests without credentials."""
    if not verification.authorizers:
        return _without_credentials(verification)
    requests = list(_requests())

    def status(request: tuple[str, str]) -> int:
        method, path = request
        return verification.fetch(method, f"{verification.url}{path}").status

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(status, requests))
    answered = [
        f"{method} {path} ({status})"
        for (method, path), status in zip(requests, statuses, strict=True)
        if status not in REFUSED
    ]
    if answered:
        raise CheckFailed(
            f"{len(answered)} of {len(requests)} requests without credentials are not refused:"
            f" {', '.join(answered[:SHOWN])} … Take the API offline and check its authorizer."
        )
    return f"{len(requests)} requests without credentials were refused"


def _without_credentials(verification: Verification) -> str:
    if verification.call("GET", SEARCH).status in REFUSED:
        raise NotChecked("give credentials with --sign, --token or --user.")
    if urlsplit(verification.url).hostname in _THIS_MACHINE:
        raise NotChecked("no users are configured, and the server is on this machine.")
    raise CheckFailed("Anybody may search here. Take the server offline and configure users.")


def stages(verification: Verification) -> str:
    """Check that the API has no other stage than the one of the template."""
    parts = urlsplit(verification.url)
    if ".execute-api." not in parts.netloc and "/execute-api/" not in parts.path:
        raise NotChecked("the address is not one that API Gateway gives to an API.")
    base, _, deployed = verification.url.rpartition("/")
    named = set(verification.stack.stages()) if verification.stack else set()
    others = sorted({*_STAGES, *named} - {deployed})
    there = set(others) & named
    for stage in others:
        if verification.fetch("GET", f"{base}/{stage}{SEARCH}").status not in (403, 404):
            there.add(stage)
    if there:
        raise CheckFailed(
            f"The API has another stage, without log and throttle: {', '.join(sorted(there))}."
            " Delete it in the console of API Gateway."
        )
    return f"only {deployed}; {len(others)} others do not exist"


def cors(verification: Verification) -> str:
    """Check that a page of the origin may call, and may read why it is refused."""
    origin = verification.origin
    if not origin:
        raise NotChecked("name the origin of your web page with --origin.")
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "authorization",
    }
    url = f"{verification.url}{SEARCH}"
    answers = {
        "A preflight": verification.fetch("OPTIONS", url, None, asked),
        "A search": verification.call("GET", SEARCH, None, {"Origin": origin}),
        "A refusal": verification.fetch("GET", url, None, {"Origin": origin}),
    }
    for name, answer in answers.items():
        allowed = answer.headers.get("Access-Control-Allow-Origin", "")
        if allowed not in ("*", origin):
            raise CheckFailed(
                f"{name} allows the origin {allowed or '(none)'}, not {origin}. Set CorsOrigin"
                " (on one machine allowed_origins) to it."
            )
    return f"pages of {origin} may call, and read why they are refused"


def _requests() -> Iterator[tuple[str, str]]:
    """Yield method and path of every route that needs credentials; the UIDs do not exist."""
    uid = new_uid()
    for router in all_routers():
        for route in router.routes:
            template: str = getattr(route, "path", "")
            path = re.sub(r"{(\w+)(:\w+)?}", lambda found: _VALUES.get(found[1], uid), template)
            for method in sorted(getattr(route, "methods", None) or ()):
                if method != "OPTIONS" and not _OPEN.fullmatch(path):
                    yield method, path
