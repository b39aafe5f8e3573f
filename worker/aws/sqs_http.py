"""A lean way to SQS for the three calls that are made all the time: receive, delete and change visibility, in batches.

SQS's JSON protocol by orjson, on the signed calls of `signed_call.py`, behind the names of the library's client.
"""

import base64
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from worker.aws.http_calls import ServiceEndpoint, SignedCalls
from worker.aws.responses import reading_answer

_CONTENT_TYPE: Final = "application/x-amz-json-1.0"


class SqsHttp:
    """The three calls, by the names and with the parameters and answers of the library's client."""

    def __init__(self, place: ServiceEndpoint) -> None:
        self._calls = SignedCalls(place, _Json())

    async def receive_message(self, **parameters: Any) -> Mapping[str, Any]:
        """Messages as SQS gives them."""
        answer = await self._call("ReceiveMessage", parameters)
        with reading_answer():
            for message in answer.get("Messages") or ():
                for attribute in (message.get("MessageAttributes") or {}).values():
                    if "BinaryValue" in attribute:
                        attribute["BinaryValue"] = base64.b64decode(attribute["BinaryValue"])
        return answer

    async def delete_message_batch(self, *, QueueUrl: str, Entries: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:  # noqa: N803 - SQS's names
        """What failed of it, by entry."""
        return await self._call("DeleteMessageBatch", {"QueueUrl": QueueUrl, "Entries": Entries})

    async def change_message_visibility_batch(
        self,
        *,
        QueueUrl: str,  # noqa: N803 - SQS's names
        Entries: Sequence[Mapping[str, Any]],  # noqa: N803 - SQS's names
    ) -> Mapping[str, Any]:
        """What failed of it, by entry."""
        return await self._call("ChangeMessageVisibilityBatch", {"QueueUrl": QueueUrl, "Entries": Entries})

    async def _call(self, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        headers = {"content-type": _CONTENT_TYPE, "x-amz-target": f"AmazonSQS.{operation}"}
        return await self._calls.call(operation, orjson.dumps(parameters), headers)


class _Json:
    """How SQS's answers are read."""

    def read(self, content: bytes) -> dict[str, Any] | None:
        try:
            found = orjson.loads(content or b"{}")
        except orjson.JSONDecodeError:
            return None
        return found if isinstance(found, dict) else None

    def fault(self, headers: Mapping[str, str], answer: dict[str, Any]) -> tuple[str, str]:
        # The code of the older protocol where it is told, as the library has it.
        old = headers.get("x-amzn-query-error", "").partition(";")[0]
        code = old or str(answer.get("__type", "")).rpartition("#")[2]
        return code, str(answer.get("message") or answer.get("Message") or "")
