"""The command line: check a service, or set the outcomes of several side by side."""

import argparse
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from dicomweb_conformance import EDITION, __version__, outcomes, pytest_plugin, report
from dicomweb_conformance.levels import Level
from dicomweb_conformance.outcomes import Run

FOLDER = Path(__file__).parent
UNMET, UNUSABLE = 1, 2

PROFILES = {
    "archive": (
        *("capabilities", "search", "paging", "retrieve", "negotiation", "json", "xml"),
        *("character_sets", "statuses", "rendered", "store", "uri"),
    ),
    "viewer": ("search", "paging", "retrieve", "negotiation", "statuses", "json", "rendered"),
    "search": ("search", "paging"),
    "json": ("json",),
    "xml": ("xml",),
    "retrieve": ("retrieve", "negotiation", "character_sets", "statuses"),
    "rendered": ("rendered",),
    "store": ("store",),
    "uri": ("uri",),
    "capabilities": ("capabilities",),
}
"""The transactions that a type of service has to offer; "archive" has all."""


def main() -> None:
    """Run the command."""
    arguments = sys.argv[1:]
    if arguments[:1] == ["compare"]:
        print(report.table({Path(name).stem: outcomes.read(Path(name)) for name in arguments[1:]}))
        return
    sys.exit(check(arguments))


def check(arguments: list[str]) -> int:
    """Check a service, print what it does not meet, and return the exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if urlsplit(options.url).scheme not in ("http", "https"):
        parser.error(f"{options.url!r} is not a URL; try http://127.0.0.1:8042/dicom-web")
    collected = _Collected()
    status = pytest.main(_pytest_arguments(options), plugins=[pytest_plugin, collected])
    if collected.run is None or status not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        return UNUSABLE
    print(f"\nPS3.18 {EDITION}, {options.url}")
    print(report.text(collected.run))
    levels = list(Level)[: list(Level).index(Level(options.fail_on)) + 1]
    return UNMET if collected.run.unmet(levels) else 0


class _Collected:
    """Takes the run out of pytest when it ends."""

    run: Run | None = None

    def pytest_unconfigure(self, config: pytest.Config) -> None:
        """Keep the outcomes."""
        self.run = pytest_plugin.run_of(config)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dicomweb-conformance",
        description=f"Check a DICOMweb service against PS3.18 (edition {EDITION}). "
        "It stores about thirty small instances there.",
        epilog="dicomweb-conformance compare A.json B.json … prints a table of several services.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    parser.add_argument("url", help="base URL, for example http://127.0.0.1:8042/dicom-web")
    parser.add_argument("--wado-uri", help="URL of the URI service; default: /wado beside the URL")
    parser.add_argument("--user", metavar="NAME:PASSWORD", help="sign in with HTTP Basic")
    parser.add_argument("--token", help="sign in with a bearer token")
    parser.add_argument(
        "--profile", choices=PROFILES, default="archive", help="what to check; default: archive"
    )
    parser.add_argument(
        "--fail-on",
        choices=[level.value for level in Level],
        default=Level.REQUIRED.value,
        help="exit with 1 if a requirement down to this level is not met; default: required",
    )
    parser.add_argument("--html", metavar="FILE", help="write a report as a page")
    parser.add_argument("--json", metavar="FILE", help="write the outcomes as JSON")
    parser.add_argument("--junit", metavar="FILE", help="write a report in JUnit's XML")
    return parser


def _pytest_arguments(options: argparse.Namespace) -> list[str]:
    requirements = FOLDER / "requirements"
    given = {
        "--dicomweb-url": options.url,
        "--wado-uri": options.wado_uri,
        "--credentials": options.user,
        "--bearer": options.token,
        "--html-report": options.html,
        "--json-report": options.json,
        "--junit-xml": options.junit,
    }
    return [
        *("-c", str(FOLDER / "pytest.ini"), f"--rootdir={FOLDER}"),
        *(f"{name}={value}" for name, value in given.items() if value),
        *(str(requirements / f"test_{name}.py") for name in PROFILES[options.profile]),
    ]


if __name__ == "__main__":
    main()
