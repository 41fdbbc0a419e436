"""Makes the folder that the server shows at /ohif/: OHIF, as npm has it, to live below that path.

    python viewer/build.py build/viewer

The package brings its pages ready for the root of a server. They are changed where they name it, so
that they find their files below /ohif/ wherever that is; what viewing never loads is left out, and
what shrinks lies beside itself compressed.
"""

import base64
import gzip
import hashlib
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from itertools import chain
from pathlib import Path, PurePosixPath

PACKAGE = "@ohif/app"
VERSION = "3.13.2"
SHA512 = "WZdxmpmG7rqFgW9ZJLcbgr3XCtLi1KDNPoMaeY5PPe6j4G4fjEjjkycZM6C6Zk2F87BKxFfpq+jd5xXZB9E8EA=="
BASE = "/ohif/"
CONFIGURATION = Path(__file__).with_name("app-config.js")

# The network that draws segments by itself (136 MB), what other hosts and a service worker need,
# and a page for renewing tokens that loads scripts from elsewhere.
LEFT_OUT = re.compile(
    r"ort/.*|.*\.map|_headers|_redirects|serve\.json|sw\.js|init-service-worker\.js|google\.js"
    r"|manifest\.json|app-config\.js|silent-refresh\.html"
)
# Pages are changed as they are served.
SHRINKS = {".css", ".js", ".json", ".jsonc", ".svg", ".wasm", ".xml"}
LARGEST = 4 * 1024 * 1024
"""What one answer may carry behind API Gateway; compressed, every file has to stay below it."""

# What is put in the place of what in each kind of file, and how often that must be found at all:
# another number means that the package has changed, and that somebody has to look.
ROOT = rb"\1" + BASE.encode()
# Pages and workers both know their own address, and only they where the path lies.
OWN_ROOT = rb'self.location.pathname.match(/^.*?[/]ohif(?=[/]|$)/)[0] + "/"'
CHANGES = {
    ".html": [
        (rb'((?:href|src|content)=")/', ROOT, 31),
        (rb'(PUBLIC_URL=")/', ROOT, 2),
    ],
    ".js": [
        (rb'(__webpack_require__\.p = )"/"', rb"\1" + OWN_ROOT, 8),
        (rb"(browserImportFunction\()'/(?=dicom-micro)", rb"\1window.PUBLIC_URL + '", 1),
        # It takes the first letter of the function's name for the function, and shows nothing.
        (rb"(voiLutModule\.voiLUTFunction)\[0\]", rb"[\1].flat()[0]", 1),
    ],
    ".css": [(rb"(url\()/", rb"\1", 5)],
}
# A manifest is fetched without credentials, and a service worker would outlive the viewer.
UNWANTED_TAGS = re.compile(
    rb'<link rel="manifest"[^>]*>|<script[^>]*src="/init-service-worker\.js"></script>'
)


class Failed(Exception):
    """The viewer cannot be made; the message says why."""


def build(target: Path) -> None:
    """Make the folder anew; an old one stays until the new one is whole."""
    package = fetch(target.parent)
    fresh = target.with_name(target.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    found: dict[bytes, int] = {}
    for name, content in files_of(package):
        write(fresh / name, changed(name, content, found))
    # Not compressed, so that one may edit it there.
    shutil.copyfile(CONFIGURATION, fresh / CONFIGURATION.name)
    check(found)
    shutil.rmtree(target, ignore_errors=True)
    fresh.rename(target)


def fetch(folder: Path) -> Path:
    """The package, from npm's registry unless it is there already."""
    folder.mkdir(parents=True, exist_ok=True)
    package = folder / f"ohif-app-{VERSION}.tgz"
    if not package.is_file():
        npm = shutil.which("npm")
        if npm is None:
            raise Failed("npm is needed to fetch the viewer (Debian: apt install npm).")
        command = [
            npm,
            "pack",
            "--silent",
            "--pack-destination",
            str(folder),
            f"{PACKAGE}@{VERSION}",
        ]
        if subprocess.run(command, check=False).returncode:
            raise Failed(f"npm could not fetch {PACKAGE} {VERSION}.")
    digest = base64.b64encode(hashlib.sha512(package.read_bytes()).digest()).decode()
    if digest != SHA512:
        raise Failed(f"{package} is not {PACKAGE} {VERSION} as we know it; remove it, try again.")
    return package


def files_of(package: Path) -> Iterator[tuple[str, bytes]]:
    """The files that viewing needs, by their names below the path."""
    with tarfile.open(package) as archive:
        for member in archive:
            name = member.name.removeprefix("package/dist/")
            content = archive.extractfile(member) if member.isfile() else None
            if content is not None and name != member.name and not LEFT_OUT.fullmatch(name):
                yield name, content.read()


def changed(name: str, content: bytes, found: dict[bytes, int]) -> bytes:
    """The file for life below the path; counts the places that were changed."""
    content = UNWANTED_TAGS.sub(b"", content) if name == "index.html" else content
    for pattern, replacement, _ in CHANGES.get(PurePosixPath(name).suffix, []):
        content, times = re.subn(pattern, replacement, content)
        found[pattern] = found.get(pattern, 0) + times
    return content


def check(found: dict[bytes, int]) -> None:
    """Refuse a package in which something else was found to change than we know."""
    for pattern, _, times in chain.from_iterable(CHANGES.values()):
        if found.get(pattern, 0) != times:
            number = found.get(pattern, 0)
            raise Failed(f"{pattern!r} was found {number} times instead of {times}.")


def write(file: Path, content: bytes) -> None:
    """Write a file, and beside it a compressed one if that is smaller by enough."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    sent = len(content)
    if file.suffix in SHRINKS:
        smaller = gzip.compress(content, 9, mtime=0)
        if len(smaller) < len(content) * 0.9:
            file.with_name(file.name + ".gz").write_bytes(smaller)
            sent = len(smaller)
    if sent > LARGEST:
        raise Failed(f"{file.name} has {sent:,} bytes compressed; API Gateway carries {LARGEST:,}.")


if __name__ == "__main__":
    try:
        build(Path(sys.argv[1]))
    except Failed as error:
        sys.exit(f"The viewer was not built: {error}")
