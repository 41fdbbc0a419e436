"""The functions as Lambda has them: made once by their import, on S3 and a shared index."""

import asyncio
import secrets
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from lenticular.storage.s3 import S3Storage
from tests.helpers.aws.api_gateway import Context, Functions
from tests.helpers.aws.recorded_calls import Recorder, recording
from tests.helpers.s3 import make_bucket

PACKAGES = (
    "authorizer",
    "dicomweb",
    "ingest",
    "maintenance",
    "preview",
    "shared",
    "start",
    "upload",
)


# The modules of handlers, and the functions of the template.
FUNCTIONS = {
    "authorizer.handler": "AuthorizerFunction",
    "dicomweb.handler": "DicomwebFunction",
    "ingest.handler": "IngestFunction",
    "maintenance.handler": "MaintenanceFunction",
    "maintenance.database_user": "DatabaseUserFunction",
    "preview.handler": "PreviewFunction",
    "upload.handler": "UploadFunction",
}


@pytest.fixture(autouse=True)
def event_loop_of_the_thread() -> Iterator[None]:
    """Give the thread an event loop, as Lambda does; the viewer's tests may have left it none."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    asyncio.set_event_loop(None)
    loop.close()


@pytest.fixture(scope="session")
def recorder() -> Iterator[Recorder]:
    """Roles and network of the template are in force for every function."""
    with recording() as running:
        yield running


@pytest.fixture(scope="session")
def import_function(
    s3_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory, recorder: Recorder
) -> Iterator[object]:
    """Import a handler in the environment that the template gives it, with its role."""
    loaded: dict[str, ModuleType] = {}
    name = f"test-{secrets.token_hex(8)}"
    make_bucket(s3_environment, name, versioning=True)
    index = tmp_path_factory.mktemp("index") / "index.sqlite"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LENTICULAR_STORAGE", f"s3://{name}")
        patch.setenv("LENTICULAR_INDEX", f"sqlite:///{index}")
        patch.setenv("LENTICULAR_PAYLOAD_CEILING", "4194304")
        patch.setenv("LENTICULAR_LARGEST_RESULT", "20000000")
        patch.setenv("LENTICULAR_VIEWER", f"s3://{name}/viewer")
        patch.setenv("LENTICULAR_OIDC_CLIENT", "the-viewer")
        patch.setenv("LENTICULAR_OIDC_ISSUER", "https://issuer.example")
        patch.setenv("OIDC_ISSUER", "https://issuer.example")
        patch.setenv("OIDC_AUDIENCE", "lenticular")
        patch.setenv("OIDC_READ_SCOPE", "lenticular/read")
        patch.setenv("OIDC_WRITE_SCOPE", "lenticular/write")

        def load(name: str) -> ModuleType:
            if name not in loaded:
                loaded[name] = module = import_module(name)
                if name in FUNCTIONS:
                    module.handler = recorder.of_function(FUNCTIONS[name], module.handler)
            return loaded[name]

        load("maintenance.handler").handler({"action": "migrate"}, Context())
        yield load
        for package in PACKAGES:
            for module in [name for name in sys.modules if name.split(".")[0] == package]:
                del sys.modules[module]


@pytest.fixture
def functions(import_function) -> Functions:
    """The functions behind HTTP."""
    names = ("upload", "dicomweb", "preview")
    return Functions({name: import_function(f"{name}.handler").handler for name in names})


@pytest.fixture
def ingest(import_function) -> ModuleType:
    """The module of the drop folder."""
    return import_function("ingest.handler")


@pytest.fixture
def storage(ingest) -> S3Storage:
    """The bucket that all functions work with."""
    return ingest.bucket


@pytest.fixture
def root() -> Path:
    """The repository."""
    return Path(__file__).parents[2]
