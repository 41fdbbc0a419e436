"""`lenticular verify` on one machine: what it proves, what it reports, what it leaves behind."""

import json

import pytest
from click.testing import CliRunner

from lenticular.__main__ import main
from lenticular.cli.verify import transactions
from lenticular.cli.verify.run import Verification, run
from lenticular.client.connection import ServerCredentials
from tests.helpers.server_process import Server, free_port

CONFIGURATION = """
allowed_origins = "https://viewer.example"
users = [{ name = "ann", password = "secret", rights = ["read", "write"] }]
tokens = [{ token = "a-token", rights = ["read", "write"] }]
"""
WHO = ("--user", "ann:secret", "--token", "a-token")


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """A server that only lets ann and the bearer of a token in."""
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "lenticular.toml").write_text(CONFIGURATION)
    with Server(folder / "data", "--config", str(folder / "lenticular.toml")) as server:
        yield server


@pytest.fixture(scope="module")
def unguarded(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("unguarded") / "data") as server:
        yield server


def verify(*arguments: str) -> tuple[int, dict[str, dict]]:
    """The exit status, and the results by name."""
    done = CliRunner().invoke(main, ["verify", *arguments, "--json"])
    results = json.loads(done.stdout)["checks"]
    return done.exit_code, {result["name"]: result for result in results}


def of_status(results: dict[str, dict], status: str) -> set[str]:
    return {name for name, result in results.items() if result["status"] == status}


def studies(server: Server, **options: object) -> list:
    with server.client(**options) as client:
        return client.get("/studies").json()


def test_a_server_that_is_right_passes_and_is_left_as_it_was(guarded):
    arguments = (*WHO, "--origin", "https://viewer.example")
    drop = ("--drop", str(guarded.data / "incoming"))
    status, results = verify(guarded.url, *arguments, *drop)

    assert of_status(results, "failed") == set(), results
    assert of_status(results, "not checked") == {"stages", "upload in parts", "alarms"}
    assert status == 0
    assert "2 let in" in results["sign in"]["detail"]
    assert studies(guarded, auth=("ann", "secret")) == []
    assert list((guarded.data / "incoming").iterdir()) == []


def test_an_origin_that_may_not_call_fails_with_the_setting_to_change(guarded):
    status, results = verify(guarded.url, *WHO, "--origin", "https://elsewhere.example")

    assert of_status(results, "failed") == {"cors"}
    assert "allowed_origins" in results["cors"]["detail"]
    assert status == 1


def test_credentials_that_are_refused_fail_and_the_rest_is_not_checked(guarded):
    status, results = verify(guarded.url, "--token", "another")

    assert of_status(results, "failed") == {"sign in"}
    assert {"store", "alarms"} <= of_status(results, "not checked")
    assert "401" in results["sign in"]["detail"]
    assert status == 1


def test_a_server_that_lets_strangers_in_fails(unguarded):
    status, results = verify(unguarded.url, *WHO)

    assert of_status(results, "failed") == {"forged", "anonymous"}
    assert "GET /dicom-web/studies (200)" in results["anonymous"]["detail"]
    assert status == 1
    assert studies(unguarded) == []


def test_a_server_that_does_not_answer_fails_at_once_and_the_rest_is_not_checked():
    status, results = verify(f"http://127.0.0.1:{free_port()}")

    assert of_status(results, "failed") == {"health"}
    assert {"store", "alarms"} <= of_status(results, "not checked")
    assert status == 1


def test_what_was_stored_is_deleted_after_an_interruption(unguarded):
    def interrupted(_: Verification) -> str:
        assert len(studies(unguarded)) == 1
        raise KeyboardInterrupt

    verification = Verification(unguarded.url, [ServerCredentials()])
    with pytest.raises(KeyboardInterrupt):
        list(run(verification, [("store", transactions.store), ("a check", interrupted)]))

    assert studies(unguarded) == []


def test_people_read_a_line_for_each_check_and_a_sum(unguarded):
    done = CliRunner().invoke(main, ["verify", unguarded.url])

    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert any(line.startswith("ok           store ") for line in lines)
    assert any(line.startswith("not checked  sign in ") for line in lines)
    assert lines[-1].endswith("not checked.")


def test_an_address_that_is_none_is_refused_with_a_proposal():
    done = CliRunner().invoke(main, ["verify", "pacs.example.org"])

    assert done.exit_code == 1
    assert "https://pacs.example.org" in done.stderr
