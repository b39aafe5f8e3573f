"""Whether the rights let a call through, tried without harm.

| right | how it is tried |
|---|---|
| `sqs:GetQueueAttributes`, `sqs:GetQueueUrl`, `sns:GetTopicAttributes` | by the call itself, which changes nothing |
| `sqs:ReceiveMessage` | for eleven messages, one more than SQS gives: no message is received |
| `sqs:DeleteMessage`, `sqs:ChangeMessageVisibility` | with a receipt that no message has |
| `sqs:SendMessage` | an empty message, delayed for longer than SQS allows: no message is sent |
| `sns:Publish` | an empty message with too long a subject: no message is published |

A call that is wrong in itself is refused for that where the rights let it through, and as denied where they do not.
AWS does not promise the order in which it looks. Where it looked at the call first, a denied one would count as
allowed.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from worker.aws.checks.inspection import CallResult, Inspector, answered
from worker.ports.aws_calls import is_fifo

if TYPE_CHECKING:
    from types_aiobotocore_sqs.client import SQSClient

_NO_RECEIPT: Final = "routing-sync-doctor"
_MESSAGES_TOO_MANY: Final = 11
_DELAY_TOO_LONG_S: Final = 43_200
_SUBJECT_TOO_LONG: Final = "routing-sync doctor " * 6


class Trial(Struct, frozen=True, kw_only=True):
    """A right and how it is tried. `resource`: the ARN or the URL that it is needed on."""

    action: str
    resource: str
    call: Callable[[], Awaitable[CallResult]]


def queue_trials(inspector: Inspector, url: str) -> Sequence[Trial]:
    """The rights on the queue of events."""
    sqs: SQSClient = inspector.sqs

    def receive() -> Awaitable[CallResult]:
        wait: Any = {"WaitTimeSeconds": 0, "VisibilityTimeout": 0}
        return answered(sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=_MESSAGES_TOO_MANY, **wait))

    return [
        _trial("sqs:GetQueueAttributes", url, lambda: inspector.queue_attributes(url)),
        _trial("sqs:ReceiveMessage", url, receive),
        _trial("sqs:DeleteMessage", url, lambda: answered(sqs.delete_message(QueueUrl=url, ReceiptHandle=_NO_RECEIPT))),
        _trial(
            "sqs:ChangeMessageVisibility",
            url,
            lambda: answered(
                sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=_NO_RECEIPT, VisibilityTimeout=0)
            ),
        ),
    ]


def dead_letter_trials(inspector: Inspector, arn: str, url: str | None) -> Sequence[Trial]:
    """The rights on the dead-letter queue. `url` None: it is not known, so only its look-up is tried."""
    look_up = _trial("sqs:GetQueueUrl", arn, lambda: inspector.queue_url(arn))
    if url is None:
        return [look_up]

    def send() -> Awaitable[CallResult]:
        more: Any = {"MessageGroupId": _NO_RECEIPT} if is_fifo(url) else {}
        call = inspector.sqs.send_message(QueueUrl=url, MessageBody="", DelaySeconds=_DELAY_TOO_LONG_S, **more)
        return answered(call)

    return [
        look_up,
        _trial("sqs:GetQueueAttributes", arn, lambda: inspector.queue_attributes(url)),
        _trial("sqs:SendMessage", arn, send),
    ]


def topic_trials(inspector: Inspector, arn: str) -> Sequence[Trial]:
    """The rights on a topic."""

    def publish() -> Awaitable[CallResult]:
        return answered(inspector.sns.publish(TopicArn=arn, Message="", Subject=_SUBJECT_TOO_LONG))

    return [
        _trial("sns:GetTopicAttributes", arn, lambda: inspector.topic_attributes(arn)),
        _trial("sns:Publish", arn, publish),
    ]


def _trial(action: str, resource: str, call: Callable[[], Awaitable[CallResult]]) -> Trial:
    return Trial(action=action, resource=resource, call=call)
