"""template.yaml as data: CloudFormation's short forms are kept as their names and arguments."""

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[3]


class _Loader(yaml.SafeLoader):
    pass


def _short_form(loader: yaml.SafeLoader, name: str, node: yaml.Node) -> dict[str, Any]:
    make = {
        yaml.ScalarNode: loader.construct_scalar,
        yaml.SequenceNode: lambda node: loader.construct_sequence(node, deep=True),
        yaml.MappingNode: lambda node: loader.construct_mapping(node, deep=True),
    }
    return {name: make[type(node)](node)}


_Loader.add_multi_constructor("!", _short_form)


def load() -> dict[str, Any]:
    """The template."""
    return yaml.load((ROOT / "template.yaml").read_text("utf-8"), _Loader)


def functions(template: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Logical name and properties of each function."""
    return {
        name: resource["Properties"]
        for name, resource in template["Resources"].items()
        if resource["Type"] == "AWS::Serverless::Function"
    }


def api(template: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The paths of the API."""
    return template["Resources"]["Api"]["Properties"]["DefinitionBody"]["paths"]


def target(template: dict[str, Any], method: str, path: str) -> str | None:
    """The function that API Gateway asks: of the paths that match, the most specific decides."""
    for pattern in sorted(api(template), key=_specificity):
        if re.fullmatch(_expression(pattern), path):
            operation = api(template)[pattern].get(method.lower())
            if operation is None:
                return None
            uri = operation["x-amazon-apigateway-integration"]["uri"]["Sub"]
            (name,) = re.findall(r"\$\{(\w+)\.Arn\}", uri)
            return name
    return None


def _specificity(pattern: str) -> list[int]:
    # Segment by segment: a word goes before a variable, and that before the rest of a path.
    kinds = [2 if "+}" in part else 1 if "{" in part else 0 for part in pattern.split("/")]
    return [*kinds, 0]


def _expression(pattern: str) -> str:
    escaped = re.sub(r"\{\w+\+\}", "\0", pattern)
    escaped = re.sub(r"\{\w+\}", "\1", escaped)
    return re.escape(escaped).replace("\0", ".+").replace("\1", "[^/]+")
