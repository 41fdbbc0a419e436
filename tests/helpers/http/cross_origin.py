"""A page of another origin, and a server that allows origins."""

from dataclasses import replace
from typing import Any

import httpx2
import pytest

PAGE = "https://viewer.example"


PREFLIGHT = {
    "Origin": PAGE,
    "Access-Control-Request-Method": "GET",
    "Access-Control-Request-Headers": "authorization, range",
}


@pytest.fixture
def make_client(services, connect):
    def make(origins: str, **others: Any) -> httpx2.Client:
        settings = replace(services.settings, allowed_origins=origins, **others)
        return connect(replace(services, settings=settings))

    return make
