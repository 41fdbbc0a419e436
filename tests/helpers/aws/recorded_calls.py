"""Every call of AWS that a function makes, and every URL that it presigns.

A call that its role denies fails as on AWS, and so does one for which its network has no way.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import botocore.client
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from tests.helpers.aws import roles

Call = tuple[str, str, str]
"""Function, action and resource."""

# The actions of S3 that have another name than their operation.
_S3_ACTIONS = {
    "HeadObject": "GetObject",
    "HeadBucket": "ListBucket",
    "ListObjectsV2": "ListBucket",
    "ListParts": "ListMultipartUploadParts",
    **{"CreateMultipartUpload": "PutObject", "UploadPart": "PutObject"},
    **{"CompleteMultipartUpload": "PutObject", "UploadPartCopy": "PutObject"},
    "CopyObject": "PutObject",
}
# The viewer presigns this key to learn the bucket's origin; nobody fetches it.
_ONLY_FOR_ITS_ORIGIN = "index.html"
_OF_VERSIONS = ("GetObject", "DeleteObject")


class Recorder:
    """Notes the calls of the function that runs, and refuses those that AWS would refuse."""

    def __init__(self) -> None:
        self.calls: Counter[Call] = Counter()
        self._running = ""

    def of_function(self, name: str, handler: Callable[..., Any]) -> Callable[..., Any]:
        """Return the handler of a function, whose calls are its own while it runs."""

        def handle(*arguments: Any) -> Any:
            before, self._running = self._running, name
            try:
                return handler(*arguments)
            finally:
                self._running = before

        return handle

    def note(self, service: str, operation: str, parameters: dict[str, Any]) -> None:
        """Note a call; raise what AWS would answer if it is not allowed."""
        if not (function := self._running) or parameters.get("Key") == _ONLY_FOR_ITS_ORIGIN:
            return
        is_in_network = roles.is_in_network(function)
        if is_in_network and service not in roles.services_with_endpoint():
            raise EndpointConnectionError(endpoint_url=service)
        for action, resource in needed(service, operation, parameters):
            self.calls[function, action, resource] += 1
            ways = [roles.permissions(function)]
            ways += [roles.endpoint_permissions()] if is_in_network else []
            if not all(any(each.covers(action, resource) for each in way) for way in ways):
                text = f"{function} may not {action} on {resource}"
                raise ClientError({"Error": {"Code": "AccessDenied", "Message": text}}, operation)


def needed(service: str, operation: str, parameters: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the actions and resources that a call needs."""
    if service == "rds-data":
        yield f"rds-data:{operation}", "Cluster.DBClusterArn"
        yield "secretsmanager:GetSecretValue", "Cluster.MasterUserSecret.SecretArn"
        return
    assert service == "s3", (service, operation)
    action = _S3_ACTIONS.get(operation, operation)
    if "VersionId" in parameters and action in _OF_VERSIONS:
        action += "Version"
    key = parameters.get("Key")
    yield f"s3:{action}", "arn:aws:s3:::Bucket" + ("" if key is None else f"/{key}")
    if source := parameters.get("CopySource"):
        version = "Version" if "VersionId" in source else ""
        yield f"s3:GetObject{version}", f"arn:aws:s3:::Bucket/{source['Key']}"


@contextmanager
def recording() -> Iterator[Recorder]:
    """Record while this lasts."""
    recorder = Recorder()
    emit = botocore.client.BaseClient._emit_api_params

    def note(client: Any, api_params: Any, operation_model: Any, context: Any) -> Any:
        # Calls and presigned URLs alike pass here.
        service = client.meta.service_model.service_name
        recorder.note(service, operation_model.name, api_params)
        return emit(client, api_params=api_params, operation_model=operation_model, context=context)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.client.BaseClient, "_emit_api_params", note)
        yield recorder
