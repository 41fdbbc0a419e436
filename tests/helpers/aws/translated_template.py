"""The template as SAM translates it: what CloudFormation really gets, with real parameters."""

import json
import os
from typing import Any

from samtranslator.translator.arn_generator import ArnGenerator
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

from tests.helpers.aws.sam_template import ROOT

REGION = "eu-central-1"


class _NoManagedPolicies:
    """The template names no policy of AWS's by its short name, so none has to be looked up."""

    def load(self) -> dict[str, str]:
        return {}


def translate(**parameters: str) -> dict[str, Any]:
    """Translate the template with these parameters, and the defaults of the others."""
    template = yaml_parse((ROOT / "template.yaml").read_text("utf-8"))
    _pretend_that_code_is_uploaded(template)
    defaults = {
        name: parameter["Default"]
        for name, parameter in template["Parameters"].items()
        if "Default" in parameter
    }
    os.environ.setdefault("AWS_DEFAULT_REGION", REGION)
    # The translation is plain data; a copy by way of JSON leaves none of SAM's own types.
    translated = transform(template, {**defaults, **parameters}, _NoManagedPolicies())
    return json.loads(json.dumps(translated))


def translate_in(region: str) -> dict[str, Any]:
    """Translate the template as `sam deploy` does in a region, for its partition."""
    before, ArnGenerator.BOTO_SESSION_REGION_NAME = ArnGenerator.BOTO_SESSION_REGION_NAME, region
    try:
        return translate()
    finally:
        ArnGenerator.BOTO_SESSION_REGION_NAME = before


def of_type(translated: dict[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    """Return the resources of a type."""
    return {
        name: resource
        for name, resource in translated["Resources"].items()
        if resource["Type"] == kind
    }


def _pretend_that_code_is_uploaded(template: dict[str, Any]) -> None:
    template["Globals"]["Function"]["CodeUri"] = "s3://code/functions.zip"
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::LayerVersion":
            resource["Properties"]["ContentUri"] = "s3://code/layer.zip"
