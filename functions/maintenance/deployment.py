"""Answers CloudFormation for a custom resource: it waits for the answer at a URL."""

import json
import urllib.request
from collections.abc import Callable
from typing import Any

from shared import logger

SECONDS_TO_ANSWER = 30


def is_deployment(event: dict[str, Any]) -> bool:
    """Return True if the event is of CloudFormation."""
    return "RequestType" in event and "ResponseURL" in event


def answer(event: dict[str, Any], context: Any, deploy: Callable[[], None]) -> dict[str, Any]:
    """Deploy, unless the resource is being deleted, and report the result."""
    reason = ""
    try:
        if event["RequestType"] != "Delete":
            deploy()
    except Exception as error:
        # Whatever it was: without an answer the deployment would hang for an hour.
        logger.exception("the deployment failed")
        reason = f"{type(error).__name__}; see log stream {context.log_stream_name}"
    outcome = {
        "Status": "FAILED" if reason else "SUCCESS",
        "Reason": reason,
        "PhysicalResourceId": event.get("PhysicalResourceId") or event["LogicalResourceId"],
        **{name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")},
    }
    _send(event["ResponseURL"], json.dumps(outcome).encode())
    return outcome


def _send(url: str, body: bytes) -> None:
    # The URL is signed without a Content-Type, so there may be none.
    request = urllib.request.Request(url, body, {"Content-Type": ""}, method="PUT")
    with urllib.request.urlopen(request, timeout=SECONDS_TO_ANSWER):
        return
