"""The Capabilities Description, PS3.18 8.9 and Annex H, made of the routes."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree as ET

from fastapi import APIRouter
from fastapi.routing import APIRoute

from lenticular import __version__
from lenticular.web.request_context import DICOMWEB

EDITION = "DICOM PS3.18 2026"

_NAMESPACE = "http://wadl.dev.java.net/2009/02"


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


def as_json(base_url: str, described: list[DescribedResource]) -> dict[str, Any]:
    """Return the description as JSON."""
    return {
        "name": "Lenticular",
        "version": __version__,
        "standard": EDITION,
        "base": base_url,
        "openapi": f"{base_url.removesuffix(DICOMWEB)}/openapi.json",
        "resources": [{"path": each.path, "methods": each.methods} for each in described],
    }


def as_wadl(base_url: str, described: list[DescribedResource]) -> bytes:
    """Return the description in the Web Application Description Language."""
    application = ET.Element("application", xmlns=_NAMESPACE)
    ET.SubElement(application, "doc", title=f"Lenticular {__version__}").text = EDITION
    listed = ET.SubElement(application, "resources", base=f"{base_url}/")
    for resource in described:
        element = ET.SubElement(listed, "resource", path=resource.path.removeprefix("/"))
        for name in resource.parameters:
            ET.SubElement(element, "param", name=name, style="template", required="true")
        for method, meaning in resource.methods.items():
            child = ET.SubElement(element, "method", name=method)
            if method in resource.ids:
                child.set("id", f"{resource.ids[method]}_{method}")
            ET.SubElement(child, "doc").text = meaning
    document: bytes = ET.tostring(application, encoding="utf-8", xml_declaration=True)
    return document
