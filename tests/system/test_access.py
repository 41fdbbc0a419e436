"""Who is let in: nobody unknown, and each only as far as their rights go."""

import subprocess
import sys
from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from lenticular.services import open_services
from lenticular.settings import load
from lenticular.web.access.passwords import hash_password
from lenticular.web.app import create_app
from tests.helpers import samples, wire
from tests.helpers.server_process import Server, environment_with, free_port

STUDIES = f"{wire.DICOMWEB}/studies"
READER, WRITER = ("ann", "sécret"), ("bob", "hidden:colon")
READ_TOKEN, WRITE_TOKEN, BOTH_TOKEN = "tok-read", "tok-write", "tok-both"


@pytest.fixture
def guarded(tmp_path) -> Iterator[TestClient]:
    """A server that knows two users and three tokens."""
    settings = load(
        {},
        data=tmp_path / "guarded",
        users=f"ann:sécret:read,bob:{hash_password('hidden:colon')}:read+write",
        tokens="tok-read:read,tok-write:write,tok-both:read+write",
    )
    services = open_services(settings)
    services.index.migrate()
    app = create_app(services)
    with TestClient(app, base_url="http://pacs.example", raise_server_exceptions=False) as session:
        yield session
    services.close()


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def store(client: TestClient, **options):
    content, headers = wire.multipart(samples.ct("a"))
    headers |= options.pop("headers", {})
    return client.post(STUDIES, content=content, headers=headers, **options)


@pytest.mark.parametrize(
    "path",
    ["/dicom-web/studies", "/instances", "/docs", "/openapi.json", "/", "/system", "/nothing"],
)
def test_the_unknown_get_401_everywhere(guarded, path):
    answer = guarded.get(path)

    wire.assert_error(answer, 401)
    # Browsers take a line for one challenge.
    basic, bearer = answer.headers.get_list("www-authenticate")
    assert basic.startswith('Basic realm="')
    assert bearer == "Bearer"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_only_who_may_write_looks_at_an_upload_since_that_gives_urls_to_put_to(guarded, method):
    assert guarded.request(method, "/uploads/x", headers=bearer(READ_TOKEN)).status_code == 403
    assert guarded.request(method, "/uploads/x", headers=bearer(WRITE_TOKEN)).status_code == 404


def test_health_alone_is_open_and_tells_nothing_of_the_content(guarded):
    answer = guarded.get("/health")

    assert answer.status_code == 200
    assert set(answer.json()) <= {"status", "version"}


def test_the_unknown_may_not_store(guarded):
    wire.assert_error(store(guarded), 401)


def test_a_reader_reads_and_may_neither_store_nor_delete(guarded):
    assert store(guarded, auth=WRITER).status_code == 200

    assert len(guarded.get(STUDIES, auth=READER).json()) == 1
    wire.assert_error(store(guarded, auth=READER), 403)
    study = f"{STUDIES}/{samples.study_uid('a')}"
    wire.assert_error(guarded.delete(study, auth=READER), 403)
    assert guarded.post("/instances", content=samples.ct("a"), auth=READER).status_code == 403
    assert guarded.get(study, auth=READER).status_code == 200


def test_a_reader_may_use_the_posts_that_only_ask(guarded):
    for path in ("/tools/find", "/tools/lookup"):
        answer = guarded.post(path, content=b"{}", auth=READER)
        assert answer.status_code not in (401, 403)


@pytest.mark.parametrize(
    ("token", "reads", "writes"),
    [(READ_TOKEN, 200, 403), (WRITE_TOKEN, 403, 200), (BOTH_TOKEN, 200, 200)],
)
def test_a_token_allows_what_it_says(guarded, token, reads, writes):
    assert guarded.get(STUDIES, headers=bearer(token)).status_code == reads
    assert store(guarded, headers=bearer(token)).status_code == writes


@pytest.mark.parametrize(
    "auth", [("ann", "secret"), ("ann", ""), ("", ""), ("ANN", "sécret"), ("bob", "hidden")]
)
def test_a_wrong_password_is_refused(guarded, auth):
    wire.assert_error(guarded.get(STUDIES, auth=auth), 401)


@pytest.mark.parametrize(
    "header",
    ["Basic \u00e9", "Basic", "Basic ====", "Basic YQ==", "Bearer", "Bearer ", "\u00ff" * 50,
     "Bearer tok", "Bearer tok-read2", "Digest x", ""],
)  # fmt: skip
def test_odd_credentials_are_refused_like_wrong_ones(guarded, header):
    answer = guarded.get(STUDIES, headers={"Authorization": header.encode("latin-1")})

    wire.assert_error(answer, 401)


@pytest.mark.parametrize("origin", ["null", "http://[", "http://evil.example", "\u00ff"])
def test_without_credentials_a_page_from_elsewhere_may_not_write(client, origin):
    answer = store(client, headers={"Origin": origin.encode("latin-1")})

    wire.assert_error(answer, 403)
    assert client.get(STUDIES).json() == []


def test_without_credentials_a_page_of_our_own_may_write(client):
    assert store(client, headers={"Origin": str(client.base_url).rstrip("/")}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8042", "127.0.0.1.evil.example", "["]
)
def test_without_credentials_a_name_that_merely_points_here_is_refused(client, host):
    wire.assert_error(client.get(STUDIES, headers={"Host": host}), 400, 403)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "localhost.example", ""])
def test_serve_refuses_any_other_address_until_someone_can_sign_in(tmp_path, host):
    command = [sys.executable, "-m", "lenticular", "serve", "--host", host]
    command += ["--port", str(free_port()), "--data", str(tmp_path)]

    ended = subprocess.run(
        command, env=environment_with({}), capture_output=True, text=True, timeout=30, check=False
    )

    assert ended.returncode != 0
    assert "Traceback" not in ended.stderr
    assert "user" in ended.stderr


def test_with_credentials_serve_listens_anywhere_and_lets_nobody_in_without(tmp_path):
    environment = {"LENTICULAR_USERS": "ann:secret:read+write"}
    running = Server(tmp_path / "data", "--host", "0.0.0.0", environment=environment)
    with running, running.client() as client:
        wire.assert_error(client.get(STUDIES), 401)
        assert client.get(STUDIES, auth=("ann", "secret")).json() == []
    assert "secret" not in running.output()
