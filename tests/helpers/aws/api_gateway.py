"""API Gateway and Lambda as a handler sees them: events made of requests, responses of results."""

import base64
import json
from dataclasses import dataclass, field
from http.client import HTTPMessage
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

STAGE = "/v1"
HOST = "abc123.execute-api.eu-central-1.amazonaws.com"


@dataclass
class Context:
    """The context of a Lambda call."""

    function_name: str = "function"
    memory_limit_in_mb: int = 1769
    invoked_function_arn: str = "arn:aws:lambda:eu-central-1:123456789012:function:function:live"
    aws_request_id: str = "11111111-2222-3333-4444-555555555555"
    log_stream_name: str = "2026/01/01/[1]abc"
    milliseconds: int = 900_000

    def get_remaining_time_in_millis(self) -> int:
        return self.milliseconds


@dataclass
class Answer:
    """The response that the client gets."""

    status: int
    content: bytes
    headers: dict[str, str] = field(default_factory=dict)

    def json(self) -> Any:
        return json.loads(self.content)


def event(
    method: str, url: str, body: bytes | None = None, headers: dict[str, str] | None = None
) -> dict[str, Any]:
    """The event of a Lambda proxy integration, with every media type binary."""
    parts = urlsplit(url)
    headers = {"Host": HOST, "X-Forwarded-Proto": "https", **(headers or {})}
    query = parse_qs(parts.query, keep_blank_values=True)
    return {
        "resource": "/{proxy+}",
        "path": unquote(parts.path),
        "httpMethod": method,
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": {name: values[-1] for name, values in query.items()} or None,
        "multiValueQueryStringParameters": query or None,
        "pathParameters": {"proxy": unquote(parts.path).lstrip("/")},
        "stageVariables": None,
        "requestContext": {
            "resourcePath": "/{proxy+}",
            "httpMethod": method,
            "path": STAGE + unquote(parts.path),
            "stage": STAGE.strip("/"),
            "requestId": "c6af9ac6-7b61-11e6-9a41-93e8deadbeef",
            "identity": {"sourceIp": "192.0.2.1"},
        },
        "body": base64.b64encode(body).decode() if body else None,
        "isBase64Encoded": bool(body),
    }


def answer(result: dict[str, Any]) -> Answer:
    """Return the response that API Gateway makes of a function's result."""
    body = result.get("body") or ""
    content = base64.b64decode(body) if result.get("isBase64Encoded") else body.encode()
    # API Gateway refuses an answer that is larger, or whose shape it does not know.
    assert len(json.dumps(result)) <= 6 * 1024 * 1024
    headers = HTTPMessage()
    for name, value in (result.get("headers") or {}).items():
        headers[name] = value
    for name, values in (result.get("multiValueHeaders") or {}).items():
        headers[name] = ",".join(values)
    return Answer(result["statusCode"], content, {k.lower(): v for k, v in headers.items()})


class Functions:
    """The functions behind HTTP, called as API Gateway calls them."""

    def __init__(self, handlers: dict[str, Any]) -> None:
        self._handlers = handlers

    def call(
        self,
        function: str,
        method: str,
        url: str,
        body: bytes | None = None,
        **headers: str,
    ) -> Answer:
        named = {name.replace("_", "-").title(): value for name, value in headers.items()}
        return answer(self._handlers[function](event(method, url, body, named), Context()))
