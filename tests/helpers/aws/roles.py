"""The roles of the functions in the translated template, evaluated as IAM does (by moto)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from moto.iam.access_control import IAMPolicyStatement, PermissionResult

from tests.helpers.aws.translated_template import of_type, translate


@dataclass(frozen=True, order=True)
class Permission:
    """An action on resources of this pattern, which a role allows."""

    action: str
    resource: str

    def covers(self, action: str, resource: str) -> bool:
        """Return True if it allows this call."""
        statement = {"Effect": "Allow", "Action": self.action, "Resource": self.resource}
        found = IAMPolicyStatement(statement).is_action_permitted(action, resource)
        return found is PermissionResult.PERMITTED


@cache
def template() -> dict[str, Any]:
    """The translated template with the defaults of all parameters."""
    return translate()


@cache
def permissions(function: str) -> frozenset[Permission]:
    """Return what the role of a function allows; AWS's own policies are not among it."""
    role = template()["Resources"][f"{function}Role"]["Properties"]
    documents = [policy["PolicyDocument"] for policy in role.get("Policies", ())]
    documents += [
        template()["Resources"][arn["Ref"]]["Properties"]["PolicyDocument"]
        for arn in map(_with_own_database, role["ManagedPolicyArns"])
        if isinstance(arn, dict)
    ]
    return frozenset(each for document in documents for each in _permissions_of(document))


@cache
def endpoint_permissions() -> frozenset[Permission]:
    """Return what the network's endpoint lets through."""
    (endpoint,) = of_type(template(), "AWS::EC2::VPCEndpoint").values()
    return frozenset(_permissions_of(endpoint["Properties"]["PolicyDocument"]))


@cache
def services_with_endpoint() -> frozenset[str]:
    """Return the services that functions in the network reach."""
    endpoints = of_type(template(), "AWS::EC2::VPCEndpoint").values()
    return frozenset(
        each["Properties"]["ServiceName"]["Fn::Sub"].rpartition(".")[2] for each in endpoints
    )


def is_in_network(function: str) -> bool:
    """Return True if a function is in a subnet, from where nothing else is reached."""
    return "VpcConfig" in template()["Resources"][function]["Properties"]


def _with_own_database(value: Any) -> Any:
    # Every condition of these policies asks for the database that the template makes.
    return value["Fn::If"][1] if isinstance(value, dict) and "Fn::If" in value else value


def _permissions_of(document: dict[str, Any]) -> Iterator[Permission]:
    for statement in document["Statement"]:
        assert statement["Effect"] == "Allow"
        for action in _listed(statement["Action"]):
            for resource in _listed(statement["Resource"]):
                yield Permission(action, _resolved(resource))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _resolved(value: Any) -> str:
    """An ARN in which resources have their logical names."""
    match value:
        case {"Fn::GetAtt": ["Bucket", "Arn"]}:
            return "arn:aws:s3:::Bucket"
        case {"Fn::GetAtt": [name, attribute]}:
            return f"{name}.{attribute}"
        case {"Fn::Sub": [str(text), _]} | {"Fn::Sub": str(text)}:
            text = text.replace("${Bucket.Arn}", "arn:aws:s3:::Bucket")
            return re.sub(r"\$\{AWS::Partition\}", "aws", text)
        case str(text):
            return text
    raise AssertionError(value)
