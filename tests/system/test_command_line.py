"""The command line: upload, config, migrate, and what serve says."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers import samples, wire
from tests.helpers.server_process import Server, environment_with


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the command notes what it has uploaded."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / ".state"))


def lenticular(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "lenticular", *arguments],
        env=environment_with(environment),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def count(server: Server, label: str) -> int:
    """The instances that are stored of a study."""
    with server.client() as client:
        return len(wire.search(client, f"/studies/{samples.study_uid(label)}/instances"))


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Ten instances: in folders, in a zip in them, and one hidden."""
    for number, content in enumerate(samples.ct_series("cli", 6), 1):
        path = tmp_path / f"disk/série {number % 2}" / f"{number}.dcm"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    zipped = {f"in/{n}": samples.ct("cli", 2, n) for n in range(1, 5)}
    (tmp_path / "disk/more.zip").write_bytes(samples.zipped(zipped))
    (tmp_path / "disk/.DS_Store").write_bytes(b"hidden")
    return tmp_path / "disk"


def test_upload_walks_folders_and_zips_and_says_how_it_goes(server, mixed):
    ended = lenticular("upload", str(mixed), "--to", server.url)

    assert ended.returncode == 0, ended.stderr
    assert "10 stored, 0 refused" in ended.stdout
    assert count(server, "cli") == 10


def test_upload_a_second_time_is_success_too(server, mixed):
    for _ in range(2):
        assert lenticular("upload", str(mixed), "--to", server.url).returncode == 0
    assert count(server, "cli") == 10


def test_upload_tells_which_files_are_refused_and_why(server, tmp_path):
    (tmp_path / "letter.txt").write_text("no DICOM")
    (tmp_path / "empty").touch()
    (tmp_path / "broken.zip").write_bytes(samples.zipped({"a": samples.ct("in broken")})[:-9])
    (tmp_path / "good.dcm").write_bytes(samples.ct("among others"))

    ended = lenticular("upload", str(tmp_path), "--to", server.url)

    assert ended.returncode != 0
    assert "1 stored, 3 refused" in ended.stdout
    for name in ("letter.txt", "empty", "broken.zip"):
        assert name in ended.stderr
    assert "Traceback" not in ended.stderr
    assert count(server, "among others") == 1


def test_upload_to_nobody_fails_with_a_sentence(tmp_path):
    (tmp_path / "a.dcm").write_bytes(samples.ct("nobody"))

    ended = lenticular("upload", str(tmp_path), "--to", "http://127.0.0.1:9")

    assert ended.returncode != 0
    assert "Traceback" not in ended.stderr


def test_upload_of_a_path_that_is_not_there_fails_with_a_sentence():
    ended = lenticular("upload", "/no/such/path")

    assert ended.returncode != 0
    assert "/no/such/path" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_upload_signs_in(tmp_path):
    (tmp_path / "a.dcm").write_bytes(samples.ct("signed in"))
    guarded = {"LENTICULAR_USERS": "ann:secret:read+write", "LENTICULAR_TOKENS": "tok:write"}
    with Server(tmp_path / "data", environment=guarded) as running:
        to = (str(tmp_path / "a.dcm"), "--to", running.url)
        assert lenticular("upload", *to).returncode != 0
        assert lenticular("upload", *to, LENTICULAR_UPLOAD_USER="ann:secret").returncode == 0
        assert lenticular("upload", *to, "--token", "tok").returncode == 0
        assert "secret" not in running.output()


def test_the_server_says_where_things_are_and_its_log_names_no_patient(tmp_path):
    with Server(tmp_path / "data") as running, running.client() as client:
        wire.must_store(client, samples.ct("logged", PatientName="Visible^Patient"))
        wire.search(client, "/studies", PatientName="Visible*", PatientID="Plogged")
        wire.store(client, samples.ct("logged", StudyDescription="other"))
        client.get("/dicom-web/studies/1.2/metadata")
    said = running.output()

    for word in (f"{running.url}/dicom-web", "/docs", "/health", "incoming"):
        assert word in said
    assert "Visible" not in said
    assert "Plogged" not in said
    assert "Traceback" not in said


def test_what_was_stored_is_there_after_a_restart(tmp_path):
    running = Server(tmp_path / "data")
    with running, running.client() as client:
        wire.must_store(client, samples.ct("restart"))
    with running, running.client() as client:
        assert len(wire.search(client, "/studies")) == 1


def test_config_show_prints_no_password(tmp_path):
    file = tmp_path / "lenticular.toml"
    file.write_text('port = 9001\n[[users]]\nname = "ann"\npassword = "hidden"\nrights = ["read"]')

    ended = lenticular("config", "show", LENTICULAR_CONFIG=str(file), LENTICULAR_WORKERS="3")

    assert ended.returncode == 0, ended.stderr
    assert "port = 9001" in ended.stdout
    assert "workers = 3" in ended.stdout
    assert "hidden" not in ended.stdout


@pytest.mark.parametrize(
    ("name", "value"),
    [("PORT", "abc"), ("USERS", "ann"), ("REPLACE", "perhaps"), ("CONFIG", "/no/such/file")],
)
def test_a_wrong_setting_is_named(name, value):
    ended = lenticular("config", "show", **{f"LENTICULAR_{name}": value})

    assert ended.returncode != 0
    assert name.lower() in ended.stderr.lower()
    assert "Traceback" not in ended.stderr


def test_migrate_can_be_run_any_number_of_times(tmp_path):
    for _ in range(2):
        ended = lenticular("migrate", LENTICULAR_DATA=str(tmp_path))
        assert ended.returncode == 0, ended.stderr


def test_the_version_is_told():
    ended = lenticular("--version")

    assert ended.returncode == 0
    assert "0." in ended.stdout


def test_a_port_in_use_is_told_and_ends_the_server(server, tmp_path):
    ended = lenticular("serve", "--port", str(server.port), "--data", str(tmp_path))

    assert ended.returncode != 0
