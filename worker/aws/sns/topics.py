"""SNS: the adapter of the port `Topics`, and the check at start that a topic exists."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from worker.aws.errors import error_code, is_throttling, translated_errors
from worker.errors import Misconfigured, TopicsAway, first_line
from worker.ports.aws_calls import RefusedEntry, is_fifo
from worker.ports.topics import TopicMessage

if TYPE_CHECKING:
    from types_aiobotocore_sns.client import SNSClient

    from worker.aws.sns.http_transport import SnsHttp


_ABSENT: Final = frozenset({"NotFound", "NotFoundException"})
_FINAL: Final = frozenset({
    "BatchRequestTooLong", "BatchRequestTooLongException", "InvalidParameter", "InvalidParameterValue",
    "ParameterValueInvalid",
})  # fmt: skip
"""Error codes of an invalid message, or of a call of one message above the topic's limit: SNS refuses it at every later
try."""
_NO_RESULT: Final = RefusedEntry(code="NOT_TOLD", reason="the SNS response has no result for this entry", final=False)


class SnsTopics:
    """`worker.ports.topics.Topics`: publishes in batches. A FIFO topic gets message group and deduplication id."""

    def __init__(self, client: "SNSClient | SnsHttp") -> None:
        self._client = client

    async def publish(self, arn: str, messages: Sequence[TopicMessage]) -> Sequence[RefusedEntry | None]:
        """Publish all messages in one call; returns one result per message. Raises TopicsAway.

        If SNS refuses the call as a whole, each message is sent in a call of its own. A message without a result in the
        response counts as not published, so that it stays in the outbox.
        """
        fifo = is_fifo(arn)
        entries: Any = [_entry(index, message, fifo=fifo) for index, message in enumerate(messages)]
        try:
            with translated_errors(f"publishing to {arn}", TopicsAway):
                response = await self._client.publish_batch(TopicArn=arn, PublishBatchRequestEntries=entries)
        except ClientError as error:
            if len(messages) == 1:
                code = error_code(error)
                return [RefusedEntry(code=code, reason=first_line(error), final=code in _FINAL)]
            return [(await self.publish(arn, [message]))[0] for message in messages]
        results: dict[str | None, RefusedEntry | None] = {
            published.get("Id"): None for published in response.get("Successful") or ()
        }
        results.update({failure.get("Id"): _refused_entry(failure) for failure in response.get("Failed") or ()})
        return [results.get(entry["Id"], _NO_RESULT) for entry in entries]


async def check_topic(client: "SNSClient", arn: str, variable: str) -> str | None:
    """Check that the topic exists. Returns None, or a line for the log if the check itself was not possible.

    `variable` is the setting that names the topic. Raises Misconfigured if there is no such topic.
    """
    try:
        with translated_errors(f"the topic {arn}", TopicsAway):
            await client.get_topic_attributes(TopicArn=arn)
    except (TopicsAway, ClientError) as error:
        if isinstance(error.__cause__, ClientError) and error_code(error.__cause__) in _ABSENT:
            line = f"{variable}: there is no topic {arn}: `routing-sync provision --env` prints the right one"
            raise Misconfigured(line) from error
        return first_line(error)
    return None


def _refused_entry(failure: Mapping[str, Any]) -> RefusedEntry:
    code = str(failure.get("Code", "Unknown"))
    # SenderFault covers missing rights and bad keys too, which an operator mends.
    final = bool(failure.get("SenderFault")) and code in _FINAL and not is_throttling(code)
    return RefusedEntry(code=code, reason=str(failure.get("Message", "")), final=final)


def _entry(index: int, message: TopicMessage, *, fifo: bool) -> dict[str, Any]:
    entry: dict[str, Any] = {"Id": str(index), "Message": message.text}
    if message.attributes:
        entry["MessageAttributes"] = message.attributes
    if fifo:
        entry["MessageGroupId"] = message.group
        entry["MessageDeduplicationId"] = message.id
    return entry
