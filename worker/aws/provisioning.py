"""Creates topics, queue, dead-letter queue and subscriptions, and corrects attributes that differ.

Idempotent: a second run changes nothing. Existing parts stay, and nothing is ever removed.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import orjson
from botocore.exceptions import ClientError
from msgspec import Struct

from worker.aws.errors import error_code, translated_errors
from worker.errors import Misconfigured, QueueAway, first_line

if TYPE_CHECKING:
    from types_aiobotocore_sns.client import SNSClient
    from types_aiobotocore_sqs.client import SQSClient


RETENTION_S: Final = 1_209_600
"""Queues keep messages for 14 days, the longest that SQS allows."""


class ProvisioningSpec(Struct, frozen=True, kw_only=True):
    """The parts to provide. Every name gets the prefix, and on FIFO the ending `.fifo` if it lacks it.

    `raw` is SNS's raw message delivery. `receive_count_max` is the redrive policy's `maxReceiveCount`.
    """

    conversation_topic: str = "conversation-events"
    work_item_topic: str = "work-item-events"
    queue: str = "routing-sync"
    dead_letter_queue: str = "routing-sync-dead-letters"
    prefix: str = ""
    fifo: bool = False
    raw: bool = False
    visibility_timeout_s: int = 30
    receive_count_max: int = 10

    def full_name(self, name: str) -> str:
        """The name with prefix and ending."""
        name = f"{self.prefix}-{name}" if self.prefix else name
        return f"{name}.fifo" if self.fifo and not name.endswith(".fifo") else name


class ProvisioningResult(Struct, frozen=True, kw_only=True):
    """The addresses of all parts, and a line for each part that was created or corrected."""

    queue_url: str
    dead_letter_queue_url: str
    conversation_topic_arn: str
    work_item_topic_arn: str
    changes: tuple[str, ...]

    def variables(self) -> dict[str, str]:
        """The worker's environment variables for these parts."""
        return {
            "SQS_QUEUE_URL": self.queue_url,
            "SQS_DEAD_LETTER_QUEUE_URL": self.dead_letter_queue_url,
            "SNS_CONVERSATION_TOPIC_ARN": self.conversation_topic_arn,
            "SNS_WORK_ITEM_TOPIC_ARN": self.work_item_topic_arn,
        }


async def provision(sns: "SNSClient", sqs: "SQSClient", spec: ProvisioningSpec) -> ProvisioningResult:
    """Create what is missing and correct what differs. Raises Misconfigured, QueueAway."""
    try:
        with translated_errors("SNS and SQS", QueueAway, at_start=True):
            return await _Provisioning(sns, sqs, spec).run()
    except ClientError as error:
        raise Misconfigured(first_line(error)) from error


class _Provisioning:
    def __init__(self, sns: "SNSClient", sqs: "SQSClient", spec: ProvisioningSpec) -> None:
        self._sns = sns
        self._sqs = sqs
        self._spec = spec
        self._changes: list[str] = []

    async def run(self) -> ProvisioningResult:
        spec = self._spec
        topics = [await self._topic(spec.full_name(name)) for name in self._topic_names()]
        common = {"MessageRetentionPeriod": str(RETENTION_S)}
        dead_url, dead_arn = await self._queue(spec.full_name(spec.dead_letter_queue), common)
        name = spec.full_name(spec.queue)
        redrive = {"deadLetterTargetArn": dead_arn, "maxReceiveCount": spec.receive_count_max}
        wanted = {
            **common,
            "VisibilityTimeout": str(spec.visibility_timeout_s),
            "ReceiveMessageWaitTimeSeconds": "20",
            "RedrivePolicy": orjson.dumps(redrive).decode(),
        }
        if spec.fifo:
            # The worker needs order within a conversation only, so each message group may have the full throughput.
            wanted |= {"DeduplicationScope": "messageGroup", "FifoThroughputLimit": "perMessageGroupId"}
        url, arn = await self._queue(name, wanted)
        await self._allow(url, arn, topics)
        # One after the other: moto's list of subscriptions cannot be read while it is written.
        for topic in topics:
            await self._subscribe(topic, arn)
        return ProvisioningResult(
            queue_url=url,
            dead_letter_queue_url=dead_url,
            conversation_topic_arn=topics[0],
            work_item_topic_arn=topics[1],
            changes=tuple(self._changes),
        )

    def _topic_names(self) -> tuple[str, str]:
        return self._spec.conversation_topic, self._spec.work_item_topic

    async def _topic(self, name: str) -> str:
        async for page in self._sns.get_paginator("list_topics").paginate():
            for topic in page.get("Topics", []):
                arn: str = _required(topic, "TopicArn", "SNS ListTopics")
                if arn.rpartition(":")[2] == name:
                    return arn
        attributes = {"FifoTopic": "true", "ContentBasedDeduplication": "false"} if self._spec.fifo else {}
        self._changes.append(f"topic {name}: made")
        created: str = _required(
            await self._sns.create_topic(Name=name, Attributes=attributes), "TopicArn", "SNS CreateTopic"
        )
        return created

    async def _queue(self, name: str, wanted: Mapping[str, str]) -> tuple[str, str]:
        url = await self._queue_url(name)
        if url is None:
            kind = {"FifoQueue": "true"} if self._spec.fifo else {}
            attributes: Any = {**kind, **wanted}
            created = await self._sqs.create_queue(QueueName=name, Attributes=attributes)
            url = str(_required(created, "QueueUrl", "SQS CreateQueue"))
            self._changes.append(f"queue {name}: made")
        found = await self._attributes(url)
        differing: Any = {key: value for key, value in wanted.items() if not _same(found.get(key), value)}
        if differing:
            await self._sqs.set_queue_attributes(QueueUrl=url, Attributes=differing)
            self._changes.append(f"queue {name}: {', '.join(sorted(differing))} mended")
        return url, _required(found, "QueueArn", "SQS GetQueueAttributes")

    async def _queue_url(self, name: str) -> str | None:
        try:
            found = await self._sqs.get_queue_url(QueueName=name)
        except ClientError as error:
            if error_code(error) == "QueueDoesNotExist":
                return None
            raise
        return str(_required(found, "QueueUrl", "SQS GetQueueUrl"))

    async def _attributes(self, url: str) -> dict[str, str]:
        response = await self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
        attributes: dict[str, str] = _required(response, "Attributes", "SQS GetQueueAttributes")
        return attributes

    async def _allow(self, url: str, arn: str, topics: list[str]) -> None:
        """Let the topics send to the queue. Other statements of the queue's policy stay."""
        statement: dict[str, Any] = {
            "Sid": "routing-sync-topics",
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": topics}},
        }
        policy = orjson.loads((await self._attributes(url)).get("Policy") or "{}")
        statements = policy.get("Statement", [])
        if statement in statements:
            return
        others = [other for other in statements if other.get("Sid") != statement["Sid"]]
        policy = {"Version": "2012-10-17", **policy, "Statement": [*others, statement]}
        await self._sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": orjson.dumps(policy).decode()})
        self._changes.append("queue policy: topics may send")

    async def _subscribe(self, topic: str, queue_arn: str) -> None:
        raw = str(self._spec.raw).lower()
        subscription = await self._subscription(topic, queue_arn)
        name = topic.rpartition(":")[2]
        if subscription is None:
            await self._sns.subscribe(
                TopicArn=topic, Protocol="sqs", Endpoint=queue_arn, Attributes={"RawMessageDelivery": raw}
            )
            self._changes.append(f"subscription to {name}: made")
            return
        response = await self._sns.get_subscription_attributes(SubscriptionArn=subscription)
        attributes = _required(response, "Attributes", "SNS GetSubscriptionAttributes")
        if attributes.get("RawMessageDelivery", "false") != raw:
            await self._sns.set_subscription_attributes(
                SubscriptionArn=subscription, AttributeName="RawMessageDelivery", AttributeValue=raw
            )
            self._changes.append(f"subscription to {name}: RawMessageDelivery mended")

    async def _subscription(self, topic: str, queue_arn: str) -> str | None:
        async for page in self._sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=topic):
            for subscription in page.get("Subscriptions", []):
                arn = subscription.get("SubscriptionArn", "")
                # An unconfirmed subscription has no ARN yet.
                if subscription.get("Endpoint") == queue_arn and arn.startswith("arn:"):
                    return arn
        return None


def _required(response: Mapping[str, Any], key: str, call: str) -> Any:
    """The part `key`, which AWS always sends. Raises Misconfigured if it is missing: another service responded."""
    if key not in response:
        raise Misconfigured(f"{call}: the response has no {key}: check AWS_ENDPOINT_URL")
    return response[key]


def _same(found: str | None, wanted: str) -> bool:
    """Whether two attributes mean the same: JSON is compared by value, and a number equals the text of it."""
    if found is None or not wanted.startswith("{"):
        return found == wanted
    left, right = orjson.loads(found), orjson.loads(wanted)
    return {key: str(value) for key, value in left.items()} == {key: str(value) for key, value in right.items()}
