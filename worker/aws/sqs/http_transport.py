"""SQS over signed HTTP: receive, delete and change visibility, in SQS's JSON protocol.

`SqsHttp` has the methods, parameters and responses of AWS's client for these three calls, so `SqsQueue` works with
either.
"""

import base64
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from worker.aws.http_calls import ServiceEndpoint, SignedCalls
from worker.aws.responses import reading_response

_CONTENT_TYPE: Final = "application/x-amz-json-1.0"


class SqsHttp:
    """The three calls, with the signatures of AWS's client. Each raises botocore's exceptions."""

    def __init__(self, endpoint: ServiceEndpoint) -> None:
        self._calls = SignedCalls(endpoint, _JsonReader())

    async def receive_message(self, **parameters: Any) -> Mapping[str, Any]:
        """Messages, their binary attributes decoded."""
        response = await self._call("ReceiveMessage", parameters)
        with reading_response():
            for message in response.get("Messages") or ():
                for attribute in (message.get("MessageAttributes") or {}).values():
                    if "BinaryValue" in attribute:
                        attribute["BinaryValue"] = base64.b64decode(attribute["BinaryValue"])
        return response

    async def delete_message_batch(self, *, QueueUrl: str, Entries: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:  # noqa: N803 - SQS's names
        """The entries that SQS deleted and those that failed."""
        return await self._call("DeleteMessageBatch", {"QueueUrl": QueueUrl, "Entries": Entries})

    async def change_message_visibility_batch(
        self,
        *,
        QueueUrl: str,  # noqa: N803 - SQS's names
        Entries: Sequence[Mapping[str, Any]],  # noqa: N803 - SQS's names
    ) -> Mapping[str, Any]:
        """The entries that SQS changed and those that failed."""
        return await self._call("ChangeMessageVisibilityBatch", {"QueueUrl": QueueUrl, "Entries": Entries})

    async def _call(self, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        headers = {"content-type": _CONTENT_TYPE, "x-amz-target": f"AmazonSQS.{operation}"}
        return await self._calls.call(operation, orjson.dumps(parameters), headers)


class _JsonReader:
    def read(self, headers: Mapping[str, str], content: bytes) -> dict[str, Any] | None:
        try:
            response = orjson.loads(content or b"{}")
        except orjson.JSONDecodeError:
            return None
        if not isinstance(response, dict):
            return None
        # Where AWS's client puts it.
        response["ResponseMetadata"] = {"HTTPHeaders": {"date": headers.get("Date")}}
        return response

    def error(self, headers: Mapping[str, str], response: dict[str, Any]) -> tuple[str, str]:
        # As in botocore, the code of SQS's query protocol takes precedence if the response has it.
        query_code = headers.get("x-amzn-query-error", "").partition(";")[0]
        code = query_code or str(response.get("__type", "")).rpartition("#")[2]
        return code, str(response.get("message") or response.get("Message") or "")
