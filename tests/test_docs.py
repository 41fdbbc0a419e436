"""The documents say what the program does."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI

from lenticular import __version__
from lenticular.__main__ import main
from lenticular.web.routers import all_routers

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
ASKED_FOR = {"HEAD", "OPTIONS"}


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def routes() -> set[tuple[str, str]]:
    """Method and path template of everything that is answered, HEAD apart."""
    app = FastAPI()
    for router in all_routers():
        app.include_router(router)
    paths = app.openapi()["paths"]
    found = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    return {(method, path) for method, path in found if method not in ASKED_FOR}


def documented() -> set[tuple[str, str]]:
    """The first two cells of each row of conformance.md that begins with methods and a path."""
    text = (ROOT / "docs/conformance.md").read_text("utf-8")
    rows = re.findall(r"^\| *`?([A-Z, ]+?)`? *\| *`?(/[^`|\s]*)`? *\|", text, re.MULTILINE)
    return {
        (method.strip(), path)
        for methods, path in rows
        for method in methods.split(",")
        if method.strip() not in ASKED_FOR
    }


def test_the_conformance_statement_and_the_routes_agree():
    assert documented() - routes() == set(), "documented, but not there"
    assert routes() - documented() == set(), "there, but not documented"


def code_blocks(path: Path) -> Iterator[str]:
    yield from re.findall(
        r"^```(?:sh|bash|console)?\n(.*?)^```", path.read_text("utf-8"), re.M | re.S
    )


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_every_make_command_in_a_document_is_in_the_makefile(path):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for block in code_blocks(path):
        for command in re.findall(r"^make +([a-z-]+)", block, re.MULTILINE):
            assert command in targets


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_every_lenticular_command_in_a_document_exists(path):
    for command in re.findall(r"(?:^|`|/)lenticular ([a-z]+)", path.read_text("utf-8"), re.M):
        assert command in main.commands


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_every_link_within_the_repository_leads_somewhere(path):
    for link in re.findall(r"\]\(([^)#]+)", path.read_text("utf-8")):
        if "://" not in link:
            assert (path.parent / link).exists(), link


def test_every_setting_named_in_a_document_exists():
    from lenticular.settings import Settings

    known = {f"LENTICULAR_{field.upper()}" for field in Settings.__dataclass_fields__}
    known |= {"LENTICULAR_CONFIG", "LENTICULAR_CORPUS"}
    known |= {"LENTICULAR_UPLOAD_USER", "LENTICULAR_UPLOAD_TOKEN"}
    for path in DOCUMENTS:
        named = set(re.findall(r"LENTICULAR_[A-Z_]*[A-Z]", path.read_text("utf-8")))
        assert named <= known, name(path)


DECISIONS = sorted((ROOT / "docs/decisions").glob("0*.md"))


@pytest.mark.parametrize("path", DECISIONS, ids=name)
def test_a_decision_has_a_number_a_title_a_date_and_a_status(path):
    begin = re.compile(r"# (\d{4}) .+\n\n\d{4}-\d\d-\d\d, (in force|replaced by \[?\d{4}.*)\.\n\n")

    found = begin.match(path.read_text("utf-8"))

    assert found
    assert found[1] == path.name[:4]


def test_the_list_of_decisions_has_all_of_them_in_their_order():
    listed = re.findall(
        r"^- \[(\d{4})\]\((.+)\) (.+)$", (DECISIONS[0].parent / "README.md").read_text(), re.M
    )
    titles = [path.read_text("utf-8").partition("\n")[0].removeprefix("# ") for path in DECISIONS]

    assert [path.name for path in DECISIONS] == [file for _, file, _ in listed]
    assert titles == [f"{number} {title}" for number, _, title in listed]


def test_the_table_of_settings_has_all_of_them_with_their_defaults():
    from lenticular.settings import Settings

    text = (ROOT / "docs/settings.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", text, re.MULTILINE))
    defaults = {name: field.default for name, field in Settings.__dataclass_fields__.items()}

    assert rows.keys() == defaults.keys()
    for setting, documented in rows.items():
        default = defaults[setting]
        if setting == "data":
            assert default == Path(documented.strip("`")).expanduser()
        elif documented.startswith("`"):
            assert documented.strip("`") in (str(default), str(default).lower()), setting
        else:  # in words, where the default is empty or depends on the machine
            assert default in ("", ()) or setting in ("workers", "viewer")


def test_every_alarm_of_the_stack_is_explained():
    alarms = re.findall(
        r"^  (\w+):\n    Type: AWS::CloudWatch::Alarm", (ROOT / "template.yaml").read_text(), re.M
    )
    explained = re.findall(r"^\| (\w+Alarm) \|", (ROOT / "docs/operations.md").read_text(), re.M)

    assert sorted(explained) == sorted(alarms)


def test_the_changelog_knows_this_version():
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")

    assert __version__ in changelog or "Unreleased" in changelog


def test_the_licence_is_apache_2():
    assert "Apache License" in (ROOT / "LICENSE").read_text("utf-8")


def test_the_readme_s_session_works(server, tmp_path):
    """The Python of the README, run as it stands, on the real server."""
    import subprocess
    import sys

    from pydicom.data import get_testdata_file

    (tmp_path / "CT_small.dcm").write_bytes(Path(get_testdata_file("CT_small.dcm")).read_bytes())
    (program,) = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)
    program = program.replace("http://127.0.0.1:8042", server.url)

    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert "['CT']" in done.stdout
