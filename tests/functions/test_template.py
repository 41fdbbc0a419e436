"""template.yaml and the code agree: handlers, routes, permissions, events."""

import json
import re

import pytest
from fastapi.routing import APIRoute

from lenticular import settings as configuration
from lenticular.settings import Settings
from lenticular.web.routes import (
    deferred_results,
    delete,
    health,
    orthanc,
    qido,
    query_tags,
    rendered,
    stow,
    uploads,
    wado_rs,
    wado_uri,
)
from lenticular.web.routes.orthanc import pictures
from lenticular.web.viewer import pages
from tests.helpers.aws.api_gateway import Context
from tests.helpers.aws.sam_template import ROOT, api, functions, load, target

TEMPLATE = load()
FUNCTIONS = functions(TEMPLATE)
WEB = {"UploadFunction": "upload", "DicomwebFunction": "dicomweb", "PreviewFunction": "preview"}
EVENTS = sorted(path.name for path in (ROOT / "events").glob("*.json"))
VALUES = {
    **{"study": "1.2.3", "series": "1.2.3.4", "instance": "1.2.3.4.5", "frame_list": "1,2"},
    **{
        "path": "7FE00010",
        "frame_index": "0",
        "identifier": "abc",
        "name": "x",
        "tag": "0010-0010",
    },
}
WRITING = {"s3:PutObject", "s3:DeleteObject"}


def routes():
    """Method and path of every route, and the function whose it is."""
    for router in (stow.router, delete.router, uploads.router):
        yield from owned(router, "UploadFunction")
    for router in (
        qido.router,
        query_tags.router,
        wado_rs.router,
        deferred_results.router,
        pages.router,
    ):
        yield from owned(router, "DicomwebFunction")
    for router in (rendered.router, wado_uri.router):
        yield from owned(router, "PreviewFunction")
    yield from owned(health.router, "DicomwebFunction")
    for route in orthanc.router.routes:
        for method in route.methods:
            path = fill(route)
            if route in pictures.router.routes:
                for kind in ("preview", "rendered", "image-uint8", "image-uint16", "image-int16"):
                    yield method, path.replace("KIND", kind), "PreviewFunction"
            elif method in ("GET", "HEAD") or path.startswith("/tools/"):
                yield method, path, "DicomwebFunction"
            else:
                yield method, path, "UploadFunction"


def owned(router, function: str):
    for route in router.routes:
        for method in route.methods:
            yield method, fill(route), function


def fill(route: APIRoute) -> str:
    """The path of a route with values in place of its variables."""
    values = {name: VALUES.get(name, name) for name in route.param_convertors}
    values.update({"kind": "KIND"} if "kind" in values else {})
    path = route.path
    for name, value in values.items():
        path = path.replace("{" + name + "}", value)
        for converter in ("path", "picture", "relation", "resource", "collection"):
            path = path.replace("{" + f"{name}:{converter}" + "}", value)
    return path


@pytest.mark.parametrize(("method", "path", "function"), sorted(set(routes())))
def test_api_gateway_asks_the_function_whose_route_it_is(method, path, function):
    assert target(TEMPLATE, method, path) == function


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_handler_exists(name):
    *module, attribute = FUNCTIONS[name]["Handler"].split(".")
    folder = ROOT / TEMPLATE["Globals"]["Function"]["CodeUri"]
    source = (folder.joinpath(*module).with_suffix(".py")).read_text("utf-8")
    assert f"\n{attribute} = " in source


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_layer_is_built_from_a_folder_that_exists(name):
    for layer in FUNCTIONS[name]["Layers"]:
        uri = TEMPLATE["Resources"][layer["Ref"]]["Properties"]["ContentUri"]
        assert (ROOT / uri.replace("build/layers", "layers")).is_dir()


def test_only_what_decodes_pixels_has_the_codecs():
    with_codecs = [
        name for name in FUNCTIONS if {"Ref": "CodecsLayer"} in FUNCTIONS[name]["Layers"]
    ]
    # Stores take PNG and GIF as pixels, and maintenance makes any answer that was put off.
    without = {"IngestFunction", "AuthorizerFunction", "DatabaseUserFunction"}
    assert set(FUNCTIONS) - set(with_codecs) == without


@pytest.mark.parametrize("name", [*WEB, "IngestFunction"])
def test_new_code_serves_only_once_the_schema_is_ready_for_it(name):
    resource = TEMPLATE["Resources"][name]
    assert resource["DependsOn"] == "Migration"
    migration = TEMPLATE["Resources"]["Migration"]["Properties"]
    assert migration["ServiceToken"] == {"GetAtt": "MaintenanceFunction.Arn"}
    assert migration["Package"] in resource["Properties"]["Layers"]


def test_a_migration_waits_for_the_network_through_which_it_goes_and_answers():
    waited_for = str(TEMPLATE["Resources"]["Migration"]["Properties"]["Reachable"])
    ways = {"AWS::EC2::VPCEndpoint", "AWS::EC2::SubnetRouteTableAssociation"}
    ways |= {"AWS::EC2::SecurityGroupIngress", "AWS::RDS::DBProxyTargetGroup"}
    for name, resource in TEMPLATE["Resources"].items():
        if resource["Type"] in ways and name != "FromProxy":
            assert f"{{'Ref': '{name}'}}" in waited_for


def test_nobody_gets_in_without_asking_the_authoriser():
    body = TEMPLATE["Resources"]["Api"]["Properties"]["DefinitionBody"]
    assert body["security"] == [{"authorizer": []}]
    for path, operations in api(TEMPLATE).items():
        for method, operation in operations.items():
            # A browser brings no credentials with its preflight, nor when it opens a page; neither
            # gets data.
            opens_a_page = path.startswith("/ohif") and method in ("get", "head")
            is_open = method == "options" or opens_a_page
            assert operation["security"] == ([] if is_open else [{"authorizer": []}]), path


def test_a_function_that_only_reads_may_not_write_instances():
    for name in ("DicomwebFunction", "PreviewFunction"):
        for actions, resources in statements(name):
            if "instances/*" in resources:
                assert not actions & WRITING


def test_whoever_removes_instances_may_remove_the_pictures_kept_of_them():
    def may_delete(name: str, folder: str) -> bool:
        return any("s3:DeleteObject" in actions and folder in resources
                   for actions, resources in statements(name))  # fmt: skip

    removing = [name for name in FUNCTIONS if may_delete(name, "/instances/*")]
    assert removing == ["UploadFunction", "IngestFunction", "MaintenanceFunction"]
    assert all(may_delete(name, "/renditions/*") for name in removing)


def test_what_draws_pictures_may_keep_and_find_them():
    # Maintenance makes any answer that was put off.
    for name in ("PreviewFunction", "MaintenanceFunction"):
        (allowed,) = [actions for actions, folder in statements(name) if "/renditions/*" in folder]
        assert allowed == {"s3:GetObject", "s3:PutObject", "s3:DeleteObject"}


def test_no_function_may_do_everything():
    for name in FUNCTIONS:
        for actions, resources in statements(name):
            assert not [action for action in actions if action.endswith("*")]
            assert resources not in ("*", "['*']")


def statements(name: str):
    """Actions and resources of what a function is allowed."""
    for policy in FUNCTIONS[name].get("Policies", []):
        for statement in policy.get("Statement", []):
            actions = statement["Action"]
            yield (
                {actions} if isinstance(actions, str) else set(actions),
                str(statement["Resource"]),
            )


def test_a_message_stays_hidden_six_times_as_long_as_the_function_may_take():
    queue = TEMPLATE["Resources"]["IncomingQueue"]["Properties"]
    assert queue["VisibilityTimeout"] >= 6 * FUNCTIONS["IngestFunction"]["Timeout"]


def test_what_was_stored_is_told_of_when_it_may_be_stable():
    queue = TEMPLATE["Resources"]["StoredQueue"]["Properties"]
    # Not before it is, and before a database that nobody works with pauses.
    assert Settings().stable_age + 29 < queue["DelaySeconds"]
    window = FUNCTIONS["MaintenanceFunction"]["Events"]["Stored"]["Properties"]
    latest = queue["DelaySeconds"] + window["MaximumBatchingWindowInSeconds"]
    assert latest < TEMPLATE["Parameters"]["PauseAfterSeconds"]["MinValue"]


def test_every_message_that_fails_again_and_again_is_put_aside_and_an_alarm_tells_of_it():
    resources = TEMPLATE["Resources"]
    watched = {
        dimension["Value"]["GetAtt"].split(".")[0]
        for alarm in resources.values()
        if alarm["Type"] == "AWS::CloudWatch::Alarm"
        for dimension in alarm["Properties"]["Dimensions"]
        if dimension["Name"] == "QueueName"
    }
    for name, function in FUNCTIONS.items():
        for event in function.get("Events", {}).values():
            if event["Type"] == "SQS":
                queue = event["Properties"]["Queue"]["GetAtt"].split(".")[0]
                properties = resources[queue]["Properties"]
                dead_letters = properties["RedrivePolicy"]["deadLetterTargetArn"]["GetAtt"]
                assert dead_letters.split(".")[0] in watched, name
                assert properties["VisibilityTimeout"] >= function["Timeout"]
                assert event["Properties"]["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


@pytest.mark.parametrize(
    ("query_tags", "is_taken"),
    [
        ("", True),
        ("series:DeviceUID", True),
        ("study:0040A730.0040A043.00080104, instance:00191010:DS:GEMS_ACQU_01", True),
        ("instance:00191010::ACME: 1%2C0,series:DeviceUID:UI", True),
        ("DeviceUID", False),
        ("patient:DeviceUID", False),
        ("series:DeviceUID;series:ImageComments", False),
        ("series:DeviceUID,,", False),
    ],
)
def test_query_tags_are_looked_at_before_anything_is_deployed(query_tags, is_taken):
    pattern = TEMPLATE["Parameters"]["QueryTags"]["AllowedPattern"]
    assert (re.fullmatch(pattern, query_tags) is not None) is is_taken
    if is_taken:
        configured = configuration.load({"LENTICULAR_QUERY_TAGS": query_tags}).query_tags
        assert len(configured) == len(list(filter(None, query_tags.split(","))))


def test_a_change_of_query_tags_is_noted_before_anybody_works_with_it():
    assert TEMPLATE["Resources"]["Migration"]["Properties"]["QueryTags"] == {"Ref": "QueryTags"}
    variables = FUNCTIONS["MaintenanceFunction"]["Environment"]["Variables"]
    assert variables["LENTICULAR_QUERY_TAGS"] == {"Ref": "QueryTags"}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_has_a_sample_event(name):
    words = "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in name)
    prefix = words.strip("-").removesuffix("-function")
    assert [event for event in EVENTS if event.startswith(prefix)]


@pytest.mark.parametrize(
    "name", [name for name in EVENTS if name.split("-")[0] in {"upload", "dicomweb", "preview"}]
)
def test_sample_events_for_http_are_answered(functions, import_function, name):
    def call(name: str) -> int:
        event = json.loads((ROOT / "events" / name).read_text("utf-8"))
        handler = import_function(f"{name.split('-', maxsplit=1)[0]}.handler").handler
        return handler(event, Context())["statusCode"]

    assert call("upload-stow.json") == 200
    assert call(name) in (200, 204)


def test_sample_events_of_the_drop_folder_and_of_maintenance_are_answered(import_function):
    def call(name: str):
        event = json.loads((ROOT / "events" / name).read_text("utf-8"))
        function = name.split("-", maxsplit=1)[0]
        return import_function(f"{function}.handler").handler(event, Context())

    assert call("ingest-dropped.json") == {"batchItemFailures": []}
    assert call("maintenance-stored.json") == {"batchItemFailures": []}
    for action in ("migrate", "settle", "sweep", "reindex", "check", "index"):
        assert "complete" in call(f"maintenance-{action}.json")
    with pytest.raises(Exception, match="Unauthorized"):
        call("authorizer-token.json")
