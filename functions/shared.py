"""Code of all functions: logs, metrics and traces, and HTTP through API Gateway.

Nothing here may hold patient data: events are not logged, answers are not traced, and of a request
only its path is told.
"""

import logging
import os
import time
from collections.abc import Callable, Iterable
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.metrics import MetricUnit

if TYPE_CHECKING:
    from fastapi import APIRouter, FastAPI
    from starlette.routing import BaseRoute

    from lenticular.services import Services

Handler = Callable[[dict[str, Any], Any], Any]
Result = TypeVar("Result")

SECONDS_TO_WAKE = 60
"""The longest time that a paused database takes to resume; mostly it takes 15."""

SECONDS_AFTER_HICCUP = 5

DICOMWEB = "/dicom-web/"
UNITS = {"bytes": MetricUnit.Bytes}

# The template names each function in POWERTOOLS_SERVICE_NAME.
logger = Logger()
metrics = Metrics(namespace="Lenticular")


class _Counts(logging.Handler):
    """Turn what the package logs as counts into metrics."""

    def emit(self, record: logging.LogRecord) -> None:
        """Add each count of the record."""
        for name, value in getattr(record, "counts", {}).items():
            metrics.add_metric(name.capitalize(), UNITS.get(name, MetricUnit.Count), value)


def _adopt_logs() -> None:
    """Send the package's own logs where the function's go."""
    package = logging.getLogger("lenticular")
    package.handlers = [*logger.handlers, _Counts()]
    package.setLevel(logger.log_level)
    package.propagate = False


_adopt_logs()


def observed(handler: Handler, correlation_id_path: str | None = None) -> Handler:
    """Return the handler with structured logs, a trace, and metrics of latency and cold starts."""

    def answer(event: dict[str, Any], context: Any) -> Any:
        started = time.perf_counter()
        try:
            return handler(event, context)
        finally:
            milliseconds = (time.perf_counter() - started) * 1000
            metrics.add_metric("Latency", MetricUnit.Milliseconds, milliseconds)

    counted = metrics.log_metrics(_traced(answer), capture_cold_start_metric=True)
    return logger.inject_lambda_context(
        counted, correlation_id_path=correlation_id_path, clear_state=True
    )


def _traced(answer: Handler) -> Handler:
    """Return the handler, followed by X-Ray if the request was sampled, at no cost otherwise."""

    @cache
    def followed() -> Handler:
        from wrapt import register_post_import_hook

        tracer = Tracer(auto_patch=False)
        # Only calls to AWS are followed, once their library is loaded.
        register_post_import_hook(lambda _: tracer.patch(["botocore"]), "botocore.client")
        return tracer.capture_lambda_handler(answer, capture_response=False, capture_error=False)

    def choose(event: dict[str, Any], context: Any) -> Any:
        # Lambda's runtime writes it anew for each call.
        is_sampled = "Sampled=1" in os.environ.get("_X_AMZN_TRACE_ID", "")
        return (followed() if is_sampled else answer)(event, context)

    return choose


def patiently(
    work: Callable[[], Result],
    hiccups: tuple[type[Exception], ...] = (),
    seconds: float | None = None,
) -> Result:
    """Run a task; repeat it while the database wakes up or after a temporary error.

    A message that goes back to its queue comes again after an hour and a half, and a deployment
    that fails is rolled back.
    """
    from lenticular.errors import Unavailable

    passing: tuple[type[Exception], ...] = (Unavailable, *hiccups)
    deadline = None
    while True:
        try:
            return work()
        except passing as error:
            deadline = deadline or time.monotonic() + (seconds or SECONDS_TO_WAKE)
            if time.monotonic() >= deadline:
                raise
            logger.info("tried again soon", reason=type(error).__name__)
            wait = error.retry_after if isinstance(error, Unavailable) else SECONDS_AFTER_HICCUP
            time.sleep(min(wait, SECONDS_TO_WAKE))


def http(
    services: "Services",
    routers: Iterable["APIRouter"],
    others: Callable[[], Iterable["APIRouter"]] = tuple,
) -> Handler:
    """Return the handler that answers these routers behind API Gateway.

    The other routers are for paths outside of DICOMweb's. They are asked for with the
    first such request, so that a viewer does not wait for the import of Orthanc's REST.
    """
    from mangum import Mangum

    from lenticular.web.app import create_app
    from lenticular.web.http.media_types import TEXTS

    # API Gateway has asked its authoriser already; no other caller can invoke the function.
    app = create_app(services, routers, guarded=False)
    base_path = os.path.join("/", *services.settings.public_url.split("/")[3:])
    adapter = Mangum(
        _Gateway(app, others),
        lifespan="off",
        api_gateway_base_path=base_path,
        text_mime_types=["text/", *TEXTS],
    )
    return observed(adapter, correlation_paths.API_GATEWAY_REST)


class _Gateway:
    """Tell the application what API Gateway leaves out of the request."""

    def __init__(self, app: "FastAPI", others: Callable[[], Iterable["APIRouter"]]) -> None:
        self._app = app
        self._others = others

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Add the stage to the path that clients see, and the length of the body."""
        if not scope["path"].startswith(DICOMWEB):
            self._add_others()
        event = scope["aws.event"]
        full_path = event["requestContext"].get("path") or ""
        if full_path.endswith(event["path"]):
            scope["root_path"] = full_path.removesuffix(event["path"])
        if not any(name == b"content-length" for name, _ in scope["headers"]):
            scope["headers"].append([b"content-length", b"%d" % _length(event)])
        await self._app(scope, receive, send)

    def _add_others(self) -> None:
        from lenticular.web.app import add_routes

        add_routes(self._app, self._others())
        self._others = tuple


def _length(event: dict[str, Any]) -> int:
    body: str = event.get("body") or ""
    if event.get("isBase64Encoded"):
        return len(body) // 4 * 3 - body[-2:].count("=")
    return len(body.encode())


def only(router: "APIRouter", keep: "Callable[[BaseRoute], bool]") -> "APIRouter":
    """Return a router with some of the routes of another."""
    from fastapi import APIRouter

    kept = APIRouter()
    kept.routes.extend(route for route in router.routes if keep(route))
    return kept


def writes(route: "BaseRoute") -> bool:
    """Return True if a route changes anything; Orthanc's look-ups are posted and do not."""
    from lenticular.web.access.rights import right_of_route

    return right_of_route(route) == "write"
