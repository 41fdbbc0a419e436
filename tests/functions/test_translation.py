"""What CloudFormation is asked to make: the template, translated as by `sam deploy`."""

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.helpers.aws.sam_template import ROOT, load
from tests.helpers.aws.translated_template import of_type, translate

OPEN = {"options"}
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
    assert parameters["innodb_lock_wait_timeout"] < 25


def test_a_function_gets_only_settings_that_it_reads(translated):
    functions = of_type(translated, "AWS::Lambda::Function")
    for name in ("AuthorizerFunction", "DatabaseUserFunction"):
        variables = functions[name]["Properties"]["Environment"]["Variables"]
        assert not [variable for variable in variables if variable.startswith("LENTICULAR_")]


def test_the_variables_of_a_function_fit_into_the_four_kilobytes_that_lambda_has_for_them():
    """With the longest values that the parameters admit, and 500 characters for any other."""
    parameters = load()["Parameters"]
    longest = {name: parameters[name].get("MaxLength", 500) for name in parameters}
    variables = of_type(translate(), "AWS::Lambda::Function")["DicomwebFunction"]["Properties"][
        "Environment"
    ]["Variables"]
    size = 0
    for name, value in variables.items():
        text = str(value)
        named = set(re.findall("|".join(parameters), text))
        size += len(name) + (sum(longest[each] for each in named) if named else len(text))

    # Half a dozen URLs of 500 characters each would be odd; what is typed freely is bounded.
    assert longest["QueryTags"] + longest["IndexUrl"] < 2048
    assert size < 8192


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
