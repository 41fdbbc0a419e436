"""The Capabilities Description, PS3.18 8.9 and Annexes G and H, made of the routes.

It is a WADL document: in XML, or in the JSON of Annex G, where attributes begin with `@` and
elements that may be repeated are arrays.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree as ET

from fastapi import APIRouter
from fastapi.routing import APIRoute

from lenticular import __version__
from lenticular.web.representations.described_methods import DescribedMethod, described
from lenticular.web.request_context import DICOMWEB

EDITION = "DICOM PS3.18 2026"

_NAMESPACE = "http://wadl.dev.java.net/2009/02"
_ALONE = ("request",)
"""The elements that WADL has once in their parent; all others may be repeated."""


@dataclass(slots=True)
class DescribedResource:
    """A path below the base URL, and a summary of each of its methods."""

    path: str
    methods: dict[str, str] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)

    @property
    def parameters(self) -> Iterator[str]:
        """Yield the names of the variables in the path."""
        for segment in self.path.split("/"):
            if segment.startswith("{"):
                yield segment.strip("{}")


def resources(routers: Iterable[APIRouter]) -> list[DescribedResource]:
    """Return every resource of DICOMweb, in the order of the routes."""
    found: dict[str, DescribedResource] = {}
    for route in (route for router in routers for route in router.routes):
        if not isinstance(route, APIRoute) or not route.path.startswith(DICOMWEB):
            continue
        path = route.path.removeprefix(DICOMWEB).replace(":path}", "}")
        resource = found.setdefault(path, DescribedResource(path))
        for method in sorted(route.methods or ()):
            resource.methods[method] = route.description.partition("\n")[0]
            resource.ids[method] = route.name
    for resource in found.values():
        resource.methods.setdefault("OPTIONS", "The methods of this resource.")
    return list(found.values())


def as_wadl(base_url: str, resources_found: list[DescribedResource]) -> bytes:
    """Return the description in the Web Application Description Language."""
    application = _application(base_url, resources_found)
    application.set("xmlns", _NAMESPACE)
    document: bytes = ET.tostring(application, encoding="utf-8", xml_declaration=True)
    return document


def as_json(base_url: str, resources_found: list[DescribedResource]) -> dict[str, Any]:
    """Return the same description in JSON (PS3.18 Annex G)."""
    return {"application": _object(_application(base_url, resources_found))}


def _application(base_url: str, resources_found: list[DescribedResource]) -> ET.Element:
    application = ET.Element("application")
    ET.SubElement(application, "doc", title=f"Lenticular {__version__}").text = EDITION
    listed = ET.SubElement(application, "resources", base=f"{base_url}/")
    for resource in resources_found:
        element = ET.SubElement(listed, "resource", path=resource.path.removeprefix("/"))
        for name in resource.parameters:
            ET.SubElement(element, "param", name=name, style="template", required="true")
        for method in resource.methods:
            _add_method(element, resource, method)
    return application


def _add_method(parent: ET.Element, resource: DescribedResource, method: str) -> None:
    element = ET.SubElement(parent, "method", name=method)
    known = described(resource.path, method)
    if method in resource.ids:
        name = resource.ids[method] if known is None else known.name
        element.set("id", name if method in ("GET", "POST") else f"{name}_{method}")
    ET.SubElement(element, "doc").text = resource.methods[method]
    if known is not None:
        _add_request(element, known)
        _add_responses(element, known, has_body=method != "HEAD")


def _add_request(parent: ET.Element, known: DescribedMethod) -> None:
    request = ET.SubElement(parent, "request")
    _add_parameter(request, "header", "Accept", known.media_types)
    _add_parameter(request, "header", "Accept-Charset", known.character_sets)
    _add_parameter(request, "query", "accept", known.media_types)
    _add_parameter(request, "query", "charset", known.character_sets)
    for name, options in known.parameters.items():
        _add_parameter(request, "query", name, options)
    for media_type in known.request_types:
        ET.SubElement(request, "representation", mediaType=media_type)


def _add_parameter(parent: ET.Element, style: str, name: str, options: Iterable[str]) -> None:
    parameter = ET.SubElement(parent, "param", name=name, style=style)
    for option in options:
        ET.SubElement(parameter, "option", value=option)


def _add_responses(parent: ET.Element, known: DescribedMethod, *, has_body: bool) -> None:
    success = ET.SubElement(parent, "response", status="200")
    for media_type in known.media_types if has_body else ():
        ET.SubElement(success, "representation", mediaType=media_type)
    ET.SubElement(parent, "response", status=known.statuses)


def _object(element: ET.Element) -> dict[str, Any]:
    """Return an element as an object, with its text as `value`."""
    found: dict[str, Any] = {f"@{name}": value for name, value in element.attrib.items()}
    if element.text:
        found["value"] = element.text
    for child in element:
        if child.tag in _ALONE:
            found[child.tag] = _object(child)
        else:
            found.setdefault(child.tag, []).append(_object(child))
    return found
