"""The server on one machine: uvicorn with as many processes as configured."""

import asyncio
import errno
import gc
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any

import uvicorn
from fastapi import FastAPI

from lenticular import settings as configuration
from lenticular.services import Services, open_services
from lenticular.settings import InvalidSettings, Settings
from lenticular.transactions.deferred_results import JOBS
from lenticular.transactions.ingest.bucket_poller import BucketPoller
from lenticular.transactions.ingest.drop_bucket import INCOMING, take
from lenticular.transactions.ingest.drop_folder import DropFolder
from lenticular.transactions.upkeep.query_tag_watch import QueryTagWatch
from lenticular.transactions.upkeep.stability_watch import StabilityWatch
from lenticular.transactions.upkeep.sweep_watch import SweepWatch
from lenticular.transactions.watch import Watch
from lenticular.web.access.control import LOOPBACK_HOSTS
from lenticular.web.app import create_app
from lenticular.web.deferred_jobs import JobRunner
from lenticular.web.http.connections import LimitedProtocol, allow_many_files
from lenticular.web.logs import configure

GRACE_SECONDS = 20
UVICORN_OPTIONS: dict[str, Any] = {
    "http": LimitedProtocol,
    # Responds 503 when all of them are busy.
    "limit_concurrency": LimitedProtocol.limits.most_connections + 1,
    "log_config": None,
    "access_log": False,
    "server_header": False,
}
GARBAGE_THRESHOLD = 50_000


def check_exposure(settings: Settings) -> None:
    """Refuse to listen beyond this machine unless users or tokens are configured."""
    if settings.host not in LOOPBACK_HOSTS and not settings.has_credentials:
        raise InvalidSettings(
            f"Listening on {settings.host} would let anybody in. Configure users or tokens first, "
            "for example LENTICULAR_USERS=ann:secret:read+write, or stay on 127.0.0.1."
        )


def check_address(settings: Settings) -> None:
    """Refuse an address or a port that is not available, before anything else is done."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise InvalidSettings(
                    f"Port {settings.port} is in use (Orthanc uses 8042, too). "
                    "Choose another one, for example --port 8043."
                ) from error
            raise InvalidSettings(
                f"This machine cannot listen on {settings.host}, port {settings.port}: "
                f"{error.strerror or error}."
            ) from error


def run(settings: Settings) -> None:
    """Serve until stopped. The worker processes read the same settings from the environment."""
    check_exposure(settings)
    allow_many_files()
    uvicorn.run(
        "lenticular.web.server:application",
        factory=True,
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        timeout_graceful_shutdown=GRACE_SECONDS,
        **UVICORN_OPTIONS,
    )


def application() -> FastAPI:
    """Return the application of one server process."""
    settings = configuration.load()
    configure(settings.log_level, settings.log_format)
    services = open_services(settings)
    app = create_app(services)
    app.router.lifespan_context = _lifespan(services)
    # A large dataset is half a million small objects, none of them garbage: each search through
    # them would take as long as reading them.
    gc.freeze()
    gc.set_threshold(GARBAGE_THRESHOLD)
    return app


def _lifespan(services: Services) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    """Return the lifespan of the application: starts the watches, and stops them at the end."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        watches = _watches(services)
        for each in watches:
            each.start()
        try:
            yield
        finally:
            for each in watches:
                each.stop()
            await asyncio.to_thread(_join, watches)
            services.close()

    return lifespan


def _join(watches: list[Watch]) -> None:
    """Wait for the watches to stop."""
    for each in watches:
        each.join()


def _watches(services: Services) -> list[Watch]:
    """Return the background work of this process: drop folder, bucket, and upkeep."""
    watches: list[Watch] = [DropFolder(services), StabilityWatch(services), QueryTagWatch(services)]
    watches.append(SweepWatch(services))
    bucket = services.bucket
    if bucket is not None:
        watches.append(BucketPoller(services, bucket, INCOMING, partial(take, services, bucket)))
        watches.append(BucketPoller(services, bucket, JOBS, JobRunner(services).run))
    return watches
