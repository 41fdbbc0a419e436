"""Patient data are for the owner of the server only."""

import os
import stat
import subprocess
import sys

import pytest

from lenticular.storage.file_permissions import keep_private


@pytest.fixture(autouse=True)
def usual_umask():
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_an_earlier_release_left_readable_is_made_private(tmp_path):
    data = tmp_path / "data"
    (data / "instances").mkdir(parents=True)
    (data / "index.sqlite").write_bytes(b"")
    keep_private(data)

    assert [mode(path) for path in (data, data / "instances")] == [0o700, 0o700]
    assert mode(data / "index.sqlite") == 0o600


def test_a_folder_that_is_shared_on_purpose_stays_so(tmp_path):
    incoming = tmp_path / "incoming"
    incoming.mkdir()
    incoming.chmod(0o2775)
    keep_private(tmp_path)

    assert mode(incoming) == 0o2775


@pytest.mark.parametrize("umask", [0o000, 0o022])
def test_a_new_file_is_private_whatever_the_umask(tmp_path, umask):
    os.umask(umask)
    keep_private(tmp_path / "new")
    (tmp_path / "new" / "file").write_bytes(b"")
    (tmp_path / "new" / "folder").mkdir()

    assert mode(tmp_path / "new") == 0o700
    assert mode(tmp_path / "new" / "file") == 0o600
    assert mode(tmp_path / "new" / "folder") == 0o700


def test_a_link_is_not_followed(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "link").symlink_to(outside)
    keep_private(tmp_path / "data")

    assert mode(outside) == 0o755


def test_the_server_s_files_are_private(tmp_path):
    program = (
        "import os; os.umask(0); from pathlib import Path;"
        "from lenticular.settings import Settings; from lenticular.services import open_services;"
        "from lenticular.storage.file_permissions import keep_private;"
        f"data = Path({str(tmp_path / 'data')!r}); keep_private(data);"
        "services = open_services(Settings(data=data)); services.index.migrate()"
    )
    subprocess.run([sys.executable, "-c", program], check=True)

    made = [tmp_path / "data", *(tmp_path / "data").rglob("*")]
    assert len(made) > 2
    assert not [path for path in made if mode(path) & 0o077]
