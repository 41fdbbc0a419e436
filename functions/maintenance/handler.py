"""Maintenance: `{"action": "migrate" | "settle" | "sweep" | "reindex" | "check" | "index"}`.

By hand or by schedule. Deployments call it to migrate, and queues with what the bucket tells of new
objects.
"""

import start  # isort: split

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit

from lenticular import settings
from lenticular.services import open_services
from lenticular.transactions.deferred_results import JOBS
from lenticular.transactions.ingest.drop_bucket import take_lost
from lenticular.transactions.upkeep import sweep_and_reindex
from lenticular.transactions.upkeep.check import Checked, CheckRequest, check
from lenticular.transactions.upkeep.listed_files import INSTANCES
from lenticular.transactions.upkeep.stability import mark_stable
from lenticular.transactions.upkeep.sweep_in_parts import sweep_next_parts
from maintenance.deployment import answer, is_deployment
from maintenance.messages import Action, answer_queue, is_queue
from shared import logger, metrics, observed, patiently

MARGIN_MILLISECONDS = 60_000
LOOKING_BACK_SECONDS = 24 * 3600
"""Period before an event in which resources may have become stable; once a day all are checked."""

SECONDS_FOR_NEW_WAY = 600
"""The longest time that a deployment waits for the database; a new proxy takes some minutes."""

SECONDS_OF_INDEXING = 60
"""For which a deployment, and an event that came for something else, goes on with query tags."""

services = open_services(settings.load())


def respond(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Run the actions of the event; a deployment always includes a migration."""

    def should_stop() -> bool:
        return bool(context.get_remaining_time_in_millis() < MARGIN_MILLISECONDS)

    def settle_recent(keys: Sequence[str]) -> None:
        # Whatever the event was: what became stable by now is found in the index.
        settle = partial(mark_stable, services, LOOKING_BACK_SECONDS, should_stop)
        if not patiently(settle).complete:
            raise TimeoutError("time ran out before everything was settled")
        if services.index.query_tags:
            index_for_a_while()

    def index_for_a_while() -> None:
        until = time.monotonic() + SECONDS_OF_INDEXING
        try:
            sweep_and_reindex.index_query_tags(
                services, lambda: should_stop() or time.monotonic() > until
            )
        except Exception:
            # It must not fail a deployment or an event; the schedule reports it.
            logger.exception("query tags could not be indexed")

    def deploy() -> None:
        services.index.migrate()
        services.index.query_tag_registry.register()
        index_for_a_while()

    if is_deployment(event):
        return answer(event, context, partial(patiently, deploy, seconds=SECONDS_FOR_NEW_WAY))
    if is_queue(event):
        actions: dict[str, Action] = {
            INSTANCES: settle_recent,
            JOBS: partial(put_off, should_stop),
        }
        return answer_queue(services, event, actions)
    result = patiently(partial(perform, event, should_stop))
    logger.info("maintained", action=event["action"], **result)
    return result


def put_off(should_stop: Callable[[], bool], keys: Sequence[str]) -> None:
    """Make the responses that were deferred because they took too long for one call."""
    from lenticular.web.deferred_jobs import JobRunner

    runner = JobRunner(services)
    for key in keys:
        if should_stop():
            raise TimeoutError("time ran out before every response was made")
        patiently(partial(runner.run, key), (OSError,))


def sweep(spread: str, should_stop: Callable[[], bool]) -> dict[str, Any]:
    """Remove files that no row names, and take what was dropped without an event."""
    bucket = services.bucket
    if spread or bucket is None:
        return asdict(sweep_and_reindex.sweep(services, spread, should_stop=should_stop))
    taken = take_lost(services, bucket, should_stop)
    swept = sweep_next_parts(services, bucket, should_stop)
    metrics.add_metric("SweepsCutShort", MetricUnit.Count, not swept.complete)
    return {**asdict(swept), "taken": taken}


def check_from(event: dict[str, Any], should_stop: Callable[[], bool]) -> Checked:
    """Compare rows and files; `next` in the result is where the next call continues."""
    request = CheckRequest(
        spread=event.get("spread", ""),
        start=event.get("next", ""),
        with_hash=event.get("hash") is True,
        repair=event.get("repair") is True,
    )
    return check(services, request, should_stop)


def perform(event: dict[str, Any], should_stop: Callable[[], bool]) -> dict[str, Any]:
    """Perform one action; `complete` in its result is False if it must be called again."""
    match event:
        case {"action": "migrate"}:
            services.index.migrate()
            return {"complete": True}
        case {"action": "settle"}:
            return asdict(mark_stable(services, should_stop=should_stop))
        case {"action": "sweep"}:
            return sweep(event.get("spread", ""), should_stop)
        case {"action": "reindex"}:
            return asdict(sweep_and_reindex.reindex(services, event.get("spread", ""), should_stop))
        case {"action": "check"}:
            return asdict(check_from(event, should_stop))
        case {"action": "index"}:
            services.index.query_tag_registry.register(starting=False)
            return asdict(sweep_and_reindex.index_query_tags(services, should_stop))
        case _:
            actions = '"migrate", "settle", "sweep", "reindex", "check" or "index"'
            raise ValueError(f'The event should be {{"action": {actions}}}.')


handler = observed(respond)
start.finish()
