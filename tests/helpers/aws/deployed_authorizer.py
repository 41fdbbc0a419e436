"""The deployed authoriser, called as API Gateway calls it, and its policy, read as IAM reads it."""

import json
from fnmatch import fnmatchcase

API = "arn:aws:execute-api:eu-central-1:000000000000:abc123/v1"
REQUESTS = SEARCH, LOOK_UP, STORE, DELETE, UPLOAD = tuple(
    f"{API}/{request}"
    for request in (
        "GET/dicom-web/studies",
        "POST/tools/find",
        "POST/dicom-web/studies",
        "DELETE/studies/1",
        "GET/uploads/1",
    )
)


def ask(stack, authorization: str) -> dict:
    """Return the authoriser's policy for this header."""
    event = {"type": "TOKEN", "authorizationToken": authorization, "methodArn": SEARCH}
    answer = stack.lambda_.invoke(FunctionName=stack.authorizer, Payload=json.dumps(event))
    return json.loads(answer["Payload"].read())


def allowed(answer: dict) -> set[str]:
    """Return the decision of IAM: allowed, and not denied as well."""
    matching: dict[str, set[str]] = {"Allow": set(), "Deny": set()}
    for statement in answer["policyDocument"]["Statement"]:
        for pattern in statement["Resource"]:
            found = {each for each in REQUESTS if fnmatchcase(each, pattern)}
            matching[statement["Effect"]] |= found
    return matching["Allow"] - matching["Deny"]
