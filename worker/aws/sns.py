"""SNS: the adapter of the port `Topics`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from worker.aws.errors import error_code, is_throttling, translated_errors
from worker.errors import Misconfigured, TopicsAway, first_line
from worker.ports import RefusedEntry, TopicMessage, is_fifo

if TYPE_CHECKING:
    from types_aiobotocore_sns.client import SNSClient

    from worker.aws.sns_http import SnsHttp


_ABSENT: Final = frozenset({"NotFound", "NotFoundException"})
_NEVER: Final = frozenset({"InvalidParameter", "InvalidParameterValue", "ParameterValueInvalid"})
_UNTOLD: Final = RefusedEntry(code="NOT_TOLD", reason="the answer does not say what became of it", final=False)


class SnsTopics:
    """Publishes in batches; a FIFO topic gets group and deduplication id."""

    def __init__(self, client: "SNSClient | SnsHttp") -> None:
        self._client = client

    async def publish(self, arn: str, messages: Sequence[TopicMessage]) -> Sequence[RefusedEntry | None]:
        """One call; where SNS refuses it as a whole, each message alone, so that one cannot harm the others."""
        fifo = is_fifo(arn)
        entries: Any = [_entry(index, message, fifo=fifo) for index, message in enumerate(messages)]
        try:
            with translated_errors(f"publishing to {arn}", TopicsAway):
                answer = await self._client.publish_batch(TopicArn=arn, PublishBatchRequestEntries=entries)
        except ClientError as error:
            if len(messages) == 1:
                return [
                    RefusedEntry(code=error_code(error), reason=first_line(error), final=error_code(error) in _NEVER)
                ]
            return [(await self.publish(arn, [message]))[0] for message in messages]
        # Only what SNS says it took leaves the outbox: what answers in SNS's place says nothing of the kind.
        answers: dict[str | None, RefusedEntry | None] = {one.get("Id"): None for one in answer.get("Successful") or ()}
        answers.update({one.get("Id"): _refused(one) for one in answer.get("Failed") or ()})
        return [answers.get(entry["Id"], _UNTOLD) for entry in entries]


async def check_topic(client: "SNSClient", arn: str, variable: str) -> str | None:
    """Look whether the topic is there: `Misconfigured` if it is not; a line for the log if nobody could tell."""
    try:
        with translated_errors(f"the topic {arn}", TopicsAway):
            await client.get_topic_attributes(TopicArn=arn)
    except (TopicsAway, ClientError) as error:
        if isinstance(error.__cause__, ClientError) and error_code(error.__cause__) in _ABSENT:
            line = f"{variable}: there is no topic {arn}: `routing-sync provision --env` prints the right one"
            raise Misconfigured(line) from error
        return first_line(error)
    return None


def _refused(failure: Any) -> RefusedEntry:
    code = str(failure.get("Code", "Unknown"))
    # A fault of the sender's may be one of rights or keys, which an operator mends; only a bad message stays bad.
    final = bool(failure.get("SenderFault")) and code in _NEVER and not is_throttling(code)
    return RefusedEntry(code=code, reason=str(failure.get("Message", "")), final=final)


def _entry(index: int, message: TopicMessage, *, fifo: bool) -> dict[str, Any]:
    entry: dict[str, Any] = {"Id": str(index), "Message": message.text}
    if message.attributes:
        entry["MessageAttributes"] = message.attributes
    if fifo:
        entry["MessageGroupId"] = message.group
        entry["MessageDeduplicationId"] = message.id
    return entry
