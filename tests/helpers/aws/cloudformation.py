"""CloudFormation as the custom resource of a deployment sees it."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest


class _CloudFormation(BaseHTTPRequestHandler):
    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append((json.loads(body), self.headers.get("Content-Type")))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *arguments) -> None:
        pass


@pytest.fixture
def cloudformation():
    with HTTPServer(("127.0.0.1", 0), _CloudFormation) as server:
        server.received = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def deployment(server, kind: str) -> dict:
    return {
        "RequestType": kind,
        "ResponseURL": f"http://127.0.0.1:{server.server_port}/",
        "StackId": "stack",
        "RequestId": "request",
        "LogicalResourceId": "Migration",
        "ResourceType": "Custom::Migration",
        "ResourceProperties": {},
    }
