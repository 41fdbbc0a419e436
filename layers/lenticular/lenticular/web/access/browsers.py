"""Requests that a web page of another origin made a browser send (cross-site request forgery).

A browser adds the user's Basic credentials to requests of any page; without credentials, a page
only has to reach this machine. So the decision is made by headers that browsers add and pages
cannot change: Sec-Fetch-Site (W3C Fetch Metadata 2.3) and Origin (WHATWG Fetch 3.1). Scripts send
neither.
"""

from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers

OUR_OWN = {"same-origin", "none"}
"""`none`: a person typed the address."""
ANY_ORIGIN = "*"
# What a page may send without asking the server before (WHATWG Fetch 2.2.2).
SIMPLE_METHODS = {"GET", "HEAD", "POST"}
SIMPLE_TYPES = {"", "application/x-www-form-urlencoded", "multipart/form-data", "text/plain"}


def is_forged(method: str, headers: Headers, own_hosts: Collection[str], allowed: str) -> bool:
    """Return True for a request of a page of another origin that is not allowed to make it.

    With `*` a page may call us, but not with credentials that the browser adds: the browser asks
    before such a request, and is refused. That holds for requests that are not simple.
    """
    origin = headers.get("origin")
    site = headers.get("sec-fetch-site")
    if site in OUR_OWN or (site is None and origin is None):
        return False
    if site is None and origin is not None and (netloc := _netloc(origin)) and netloc in own_hosts:
        return False
    origins = {each.strip() for each in allowed.split(",")}
    if origin in origins - {"", "null"}:
        return False
    return ANY_ORIGIN not in origins or _is_simple(method, headers)


def _is_simple(method: str, headers: Headers) -> bool:
    """Return True if a page may send the request without asking the server first."""
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    return method in SIMPLE_METHODS and media_type in SIMPLE_TYPES


def _netloc(origin: str) -> str | None:
    """Return host and port of an origin; None if it is not a URL."""
    try:
        return urlsplit(origin).netloc
    except ValueError:  # not a URL, such as `http://[`
        return None
