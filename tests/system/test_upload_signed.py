"""`lenticular upload --sign`: what arrives carries a signature that AWS would accept.

It is checked here by the algorithm as AWS describes it, Signature Version 4, on the received bytes.
"""

import hashlib
import hmac
import re

from tests.helpers import samples
from tests.helpers.tcp_relay import Answer, Passed, Relay
from tests.helpers.upload_command import count, machine, series, upload

__all__ = ["machine", "upload"]

SECRET = "a secret that never travels"
AWS = {
    "AWS_ACCESS_KEY_ID": "AKEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "AWS_SESSION_TOKEN": "a session token",
    "AWS_DEFAULT_REGION": "eu-central-1",
}
FORM = re.compile(
    r"AWS4-HMAC-SHA256 Credential=AKEXAMPLE/(\d{8}/eu-central-1/execute-api/aws4_request), "
    r"SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})"
)


def is_signed(asked: Passed) -> bool:
    """Whether the request is signed by the secret, as it came."""
    headers = {name.lower(): text for name, text in asked.headers.items()}
    found = FORM.fullmatch(headers.get("authorization", ""))
    if not found:
        return False
    scope, names, signature = found.groups()
    assert {"host", "x-amz-date", "x-amz-security-token"} <= set(names.split(";"))
    lines = [f"{name}:{headers[name]}" for name in names.split(";")]
    body = hashlib.sha256(asked.body).hexdigest()
    canonical = "\n".join([asked.method, asked.path, "", *lines, "", names, body])
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = "\n".join(["AWS4-HMAC-SHA256", headers["x-amz-date"], scope, digest])
    key = f"AWS4{SECRET}".encode()
    for step in [*scope.split("/"), text]:
        key = hmac.digest(key, step.encode(), "sha256")
    return key.hex() == signature


def test_every_request_is_signed_for_the_gateway(machine, upload, tmp_path):
    folder = series(tmp_path / "in", "signed", 3)
    large = samples.ct("signed", 2, size=1600)
    (folder / "large.dcm").write_bytes(large)

    def check(asked: Passed) -> Answer | None:
        # The large one is streamed, and the relay keeps no body of that size.
        return None if is_signed(asked) or asked.size > len(large) else Answer(403)

    with Relay(machine.url, check) as relay:
        code, output, error = upload(folder, "--to", relay.url, "--sign", **AWS)

    assert (code, error) == (0, "")
    assert "4 stored" in output
    assert [each.path for each in relay.of("POST", "/uploads")] == ["/uploads"]
    assert count(machine, "signed") == 4


def test_without_credentials_it_says_what_is_missing(upload, tmp_path):
    folder = series(tmp_path / "in", "unsigned", 1)
    nothing = {
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
    }
    code, _, error = upload(folder, "--sign", **nothing, **dict.fromkeys(AWS, ""))

    assert code == 1
    assert "no AWS credentials" in error
