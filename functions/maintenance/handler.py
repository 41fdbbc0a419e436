"""Maintenance: `{"action": "migrate" | "sweep" | "reindex"}`, by hand, schedule or deployment."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from lenticular import settings
from lenticular.services import open_services
from lenticular.transactions import maintain
from maintenance.deployment import answer, is_deployment
from shared import logger, observed

MARGIN_MILLISECONDS = 60_000

services = open_services(settings.load())


def respond(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Do what the event asks for; a deployment always asks for a migration."""
    if is_deployment(event):
        return answer(event, context, services.index.migrate)
    result = perform(event, lambda: context.get_remaining_time_in_millis() < MARGIN_MILLISECONDS)
    logger.info("maintained", action=event["action"], **result)
    return result


def perform(event: dict[str, Any], should_stop: Callable[[], bool]) -> dict[str, Any]:
    """Carry out one action; `complete` in its result says whether to call again."""
    match event:
        case {"action": "migrate"}:
            services.index.migrate()
            return {"complete": True}
        case {"action": "sweep"}:
            return asdict(
                maintain.sweep(services, event.get("spread", ""), should_stop=should_stop)
            )
        case {"action": "reindex"}:
            return asdict(maintain.reindex(services, event.get("spread", ""), should_stop))
        case _:
            raise ValueError('The event should be {"action": "migrate", "sweep" or "reindex"}.')


handler = observed(respond)
