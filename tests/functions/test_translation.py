"""What CloudFormation is asked to make: the template, translated as by `sam deploy`."""

import re
import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path

import pytest

from lenticular.index.sql import mysql
from lenticular.settings import Settings
from tests.helpers.aws.sam_template import ROOT, load
from tests.helpers.aws.translated_template import of_type, translate, translate_in

OPEN = {"options"}
NO_PARAMETERS = {
    # Of a server on one machine.
    *("data", "host", "port", "workers", "log_format"),
    # API Gateway and its authoriser do it.
    *("users", "tokens"),
    # POWERTOOLS_LOG_LEVEL.
    "log_level",
    # The delay of the queue that asks for what is stable belongs to it.
    "stable_age",
    # As large as S3, and the disk and the time of a function, allow.
    *("maximum_body", "largest_result", "maximum_zip_entries", "maximum_zip_bytes"),
}
PAGES = {"/ohif", "/ohif/{proxy+}"}


@pytest.fixture(scope="module")
def translated():
    return translate()


def body(translated):
    (api,) = of_type(translated, "AWS::ApiGateway::RestApi").values()
    return api["Properties"]["Body"]


def test_there_is_one_stage_and_it_logs_throttles_and_traces(translated):
    (stage,) = of_type(translated, "AWS::ApiGateway::Stage").values()
    (deployment,) = of_type(translated, "AWS::ApiGateway::Deployment").values()

    # A deployment that names a stage makes a second one, which nobody watches.
    assert "StageName" not in deployment["Properties"]
    properties = stage["Properties"]
    assert properties["StageName"] == "v1"
    assert properties["TracingEnabled"]
    assert properties["AccessLogSetting"]["DestinationArn"]
    (settings,) = properties["MethodSettings"]
    assert settings["ResourcePath"] == "/*"
    assert {"ThrottlingRateLimit", "ThrottlingBurstLimit", "MetricsEnabled"} <= settings.keys()


def test_every_operation_needs_credentials_but_preflights_and_pages_of_the_viewer(translated):
    for path, operations in body(translated)["paths"].items():
        for method, operation in operations.items():
            is_page = path in PAGES and method in ("get", "head")
            if method in OPEN or is_page:
                assert operation["security"] == [], (method, path)
            else:
                assert operation["security"] == [{"authorizer": []}], (method, path)


@pytest.mark.parametrize(
    "change", [{"CorsOrigin": "https://viewer.example"}, {"Authorizer": "OidcAuthorizer"}, {}]
)
def test_every_deployment_reaches_the_stage(translated, change):
    """Its id would stay the same where only the value of a parameter differs."""
    first = set(of_type(translated, "AWS::ApiGateway::Deployment"))
    started = int(time.time())
    while int(time.time()) == started:  # the id holds the second
        time.sleep(0.05)
    second = set(of_type(translate(**change), "AWS::ApiGateway::Deployment"))

    assert first.isdisjoint(second)


def test_a_parameter_that_is_not_shown_has_a_default_that_the_dialogue_takes():
    for name, parameter in load()["Parameters"].items():
        assert not (parameter.get("NoEcho") and parameter.get("Default") == ""), name


def test_a_first_deployment_that_fails_leaves_nothing_behind(translated):
    for name, resource in translated["Resources"].items():
        if resource["Type"] != "AWS::Lambda::LayerVersion":
            assert resource.get("DeletionPolicy") != "Retain", name


def test_a_database_lets_go_of_what_its_functions_have_forgotten(translated):
    (group,) = of_type(translated, "AWS::RDS::DBClusterParameterGroup").values()
    parameters = group["Properties"]["Parameters"]

    pause = load()["Parameters"]["PauseAfterSeconds"]["MinValue"]
    assert parameters["wait_timeout"] < pause
    assert parameters["interactive_timeout"] < pause
    assert parameters["innodb_lock_wait_timeout"] == mysql.SECONDS_FOR_LOCK
    assert "STRICT_TRANS_TABLES" in parameters["sql_mode"]


def test_a_function_gets_only_settings_that_it_reads(translated):
    functions = of_type(translated, "AWS::Lambda::Function")
    for name in ("AuthorizerFunction", "DatabaseUserFunction"):
        variables = functions[name]["Properties"]["Environment"]["Variables"]
        assert not [variable for variable in variables if variable.startswith("LENTICULAR_")]


LONGEST_NAME = 130
"""Of what AWS names: a bucket has 63 characters, the endpoint of a cluster some 100."""


def longest(value, parameters) -> int:
    """Return the length of the longest text that a value of the template can become."""
    match value:
        case {"Ref": "AWS::NoValue"}:
            return 0
        case {"Ref": name} if name in parameters:
            allowed = parameters[name].get("AllowedValues", [""])
            return max(parameters[name].get("MaxLength", 0), *(len(str(each)) for each in allowed))
        case {"Fn::If": [_, *branches]}:
            return max(longest(branch, parameters) for branch in branches)
        case {"Fn::Select": [_, {"Fn::Split": ["?", whole]}]}:
            return longest(whole, parameters) // 2  # two parts of one text
        case {"Fn::Sub": [text, named]}:
            left = {"Fn::Sub": re.sub("|".join(f"[$]{{{name}}}" for name in named), "", text)}
            return longest(left, parameters) + sum(
                longest(each, parameters) for each in named.values()
            )
        case {"Fn::Sub": text}:
            names = re.findall(r"[$]{([^}]*)}", text)
            fixed = len(re.sub(r"[$]{[^}]*}", "", text))
            return fixed + sum(longest({"Ref": name}, parameters) for name in names)
        case dict():
            return LONGEST_NAME
    return len(str(value))


def test_the_variables_of_a_function_fit_into_the_four_kilobytes_that_lambda_has_for_them():
    """Also with the longest values that the parameters admit: a longer one is refused at once."""
    parameters = load()["Parameters"]
    for name, function in of_type(translate(), "AWS::Lambda::Function").items():
        variables = function["Properties"]["Environment"]["Variables"]
        size = sum(len(key) + longest(value, parameters) for key, value in variables.items())
        assert size < 4096, name


def test_every_text_that_a_function_is_given_has_a_longest_length():
    parameters = load()["Parameters"]
    variables = of_type(translate(), "AWS::Lambda::Function")["DicomwebFunction"]["Properties"][
        "Environment"
    ]["Variables"]
    for name in re.findall("|".join(parameters), str(variables)):
        assert {"MaxLength", "AllowedValues"} & parameters[name].keys(), name


def test_functions_may_sign_in_at_the_cluster_and_at_its_proxy_while_one_replaces_the_other(
    translated,
):
    policy = translated["Resources"]["DatabasePolicy"]["Properties"]["PolicyDocument"]
    (statement,) = policy["Statement"]

    assert len(statement["Resource"]) == 2
    assert "Condition" not in str(statement)
    assert "Fn::If" not in str(statement)
    proxied = translated["Resources"]["Migration"]["Properties"]["Reachable"]
    assert "ProxyTargets" in str(proxied)


@pytest.mark.parametrize("name", [f.name for f in fields(Settings)])
def test_a_setting_is_a_parameter_or_has_a_reason_to_be_none(name):
    functions = of_type(translate(), "AWS::Lambda::Function")
    variables = set().union(
        *(each["Properties"]["Environment"]["Variables"] for each in functions.values())
    )

    assert (f"LENTICULAR_{name.upper()}" in variables) != (name in NO_PARAMETERS)


def test_the_network_s_way_to_s3_leads_to_this_bucket_only(translated):
    (endpoint,) = of_type(translated, "AWS::EC2::VPCEndpoint").values()
    resources = [
        resource
        for statement in endpoint["Properties"]["PolicyDocument"]["Statement"]
        for resource in (
            statement["Resource"]
            if isinstance(statement["Resource"], list)
            else [statement["Resource"]]
        )
    ]

    assert resources
    assert all("Bucket" in str(each) or "custom-resource-response" in str(each)
               for each in resources)  # fmt: skip


@pytest.mark.parametrize(
    ("region", "partition"),
    [("us-east-1", "aws"), ("us-gov-west-1", "aws-us-gov"), ("cn-north-1", "aws-cn")],
)
def test_every_arn_of_the_translation_is_of_its_region_s_partition(region, partition):
    named = set(re.findall(r"\barn:(aws[a-z-]*):", str(translate_in(region))))

    assert named == {partition}


def test_no_arn_names_a_partition():
    """There is AWS in China and for the government of the United States, too."""
    text = (ROOT / "template.yaml").read_text("utf-8")

    assert "arn:aws:" not in text


@pytest.mark.parametrize("region", ["us-east-1", "us-gov-west-1", "cn-north-1"])
def test_cloudformation_s_schemas_have_nothing_to_say(region):
    linter = Path(sys.executable).with_name("cfn-lint")
    done = subprocess.run(
        [linter, "--regions", region, "--template", "template.yaml"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_stored_files_move_to_cheaper_storage_only_when_asked_to(translated):
    (bucket,) = of_type(translated, "AWS::S3::Bucket").values()
    rules = bucket["Properties"]["LifecycleConfiguration"]["Rules"]
    transitions = [rule for rule in rules if "GLACIER_IR" in str(rule)]

    (rule,) = transitions
    assert rule["Fn::If"][0] == "MovesToGlacierInstant"
    assert rule["Fn::If"][2] == {"Ref": "AWS::NoValue"}


@pytest.mark.parametrize(
    ("days", "is_taken"), [("0", True), ("30", True), ("365", True), ("29", False), ("", False)]
)
def test_days_that_s3_would_refuse_are_refused_before_anything_is_deployed(days, is_taken):
    pattern = load()["Parameters"]["InfrequentAccessDays"]["AllowedPattern"]
    assert (re.fullmatch(pattern, days) is not None) is is_taken
