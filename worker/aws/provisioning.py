"""Creates topics, queue, dead-letter queue and subscriptions, and corrects attributes that differ.

Idempotent: a second run changes nothing. Existing parts stay, and nothing is ever removed. A dry run makes the same
lines and no change.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import orjson
from botocore.exceptions import ClientError
from msgspec import Struct

from worker.aws.errors import error_code, translated_errors
from worker.aws.policies.queue import denials_of_sending, policy_for_topics
from worker.errors import Misconfigured, QueueAway, first_line

if TYPE_CHECKING:
    from types_aiobotocore_sns.client import SNSClient
    from types_aiobotocore_sqs.client import SQSClient


RETENTION_S: Final = 1_209_600
"""Queues keep messages for 14 days, the longest that SQS allows."""

EVENT_PREFIXES: Final = ("kustomer.conversation.", "kustomer.work-item.", "routing-sync.")
"""What the names of the events begin with that the worker handles, its own heartbeat among them."""

_FILTER: Final = orjson.dumps({"name": [{"prefix": prefix} for prefix in EVENT_PREFIXES]}).decode()

_SUBSCRIPTION_DEFAULTS: Final = {"RawMessageDelivery": "false"}


class ProvisioningSpec(Struct, frozen=True, kw_only=True):
    """The parts to provide. Every name gets the prefix, and on FIFO the ending `.fifo` if it lacks it.

    `raw` is SNS's raw message delivery. `filtered`: the subscriptions let only the events through that the worker
    handles; otherwise their filters stay as they are. `receive_count_max` is the redrive policy's `maxReceiveCount`.
    """

    conversation_topic: str = "conversation-events"
    work_item_topic: str = "work-item-events"
    queue: str = "routing-sync"
    dead_letter_queue: str = "routing-sync-dead-letters"
    prefix: str = ""
    fifo: bool = False
    raw: bool = False
    filtered: bool = False
    visibility_timeout_s: int = 30
    receive_count_max: int = 10

    def full_name(self, name: str) -> str:
        """The name with prefix and ending."""
        name = f"{self.prefix}-{name}" if self.prefix else name
        return f"{name}.fifo" if self.fifo and not name.endswith(".fifo") else name


class ProvisioningResult(Struct, frozen=True, kw_only=True):
    """The addresses of all parts, and a line for each part that was created or attribute that was corrected.

    After a dry run the address of a part that does not exist is empty. `notes`: what was found and left as it is.
    """

    queue_url: str
    dead_letter_queue_url: str
    conversation_topic_arn: str
    work_item_topic_arn: str
    changes: tuple[str, ...]
    notes: tuple[str, ...]

    def variables(self) -> dict[str, str]:
        """The worker's environment variables for these parts, without those that do not exist."""
        variables = {
            "SQS_QUEUE_URL": self.queue_url,
            "SQS_DEAD_LETTER_QUEUE_URL": self.dead_letter_queue_url,
            "SNS_CONVERSATION_TOPIC_ARN": self.conversation_topic_arn,
            "SNS_WORK_ITEM_TOPIC_ARN": self.work_item_topic_arn,
        }
        return {name: value for name, value in variables.items() if value}


async def provision(
    sns: "SNSClient", sqs: "SQSClient", spec: ProvisioningSpec, *, dry_run: bool = False
) -> ProvisioningResult:
    """Create what is missing and correct what differs; with `dry_run` only say so. Raises Misconfigured, QueueAway."""
    try:
        with translated_errors("SNS and SQS", QueueAway, at_start=True):
            return await _Provisioning(sns, sqs, spec, _Changes(dry_run=dry_run)).run()
    except ClientError as error:
        raise Misconfigured(first_line(error)) from error


class _Changes:
    """The changes of a run in order, each made as it is noted, or only noted in a dry run."""

    def __init__(self, *, dry_run: bool) -> None:
        self.dry_run = dry_run
        self.lines: list[str] = []

    async def make(self, lines: Sequence[str], call: Callable[[], Awaitable[Any]]) -> Any:
        """Note the lines and return what `call` returns; None in a dry run."""
        self.lines.extend(lines)
        return None if self.dry_run else await call()


class _Provisioning:
    def __init__(self, sns: "SNSClient", sqs: "SQSClient", spec: ProvisioningSpec, changes: "_Changes") -> None:
        self._sns = sns
        self._sqs = sqs
        self._spec = spec
        self._changes = changes
        self._notes: list[str] = []

    async def run(self) -> ProvisioningResult:
        spec = self._spec
        names = [spec.full_name(name) for name in (spec.conversation_topic, spec.work_item_topic)]
        topics = [await self._topic(name) for name in names]
        common = {"MessageRetentionPeriod": str(RETENTION_S)}
        dead = await self._queue(spec.full_name(spec.dead_letter_queue), common)
        queue = await self._queue(spec.full_name(spec.queue), {**common, **self._queue_attributes(dead)})
        await self._allow(queue, [topic or name for topic, name in zip(topics, names, strict=True)])
        # One after the other: moto's list of subscriptions cannot be read while it is written.
        for topic, name in zip(topics, names, strict=True):
            await self._subscribe(topic, name, queue)
        return ProvisioningResult(
            queue_url=queue.url,
            dead_letter_queue_url=dead.url,
            conversation_topic_arn=topics[0],
            work_item_topic_arn=topics[1],
            changes=tuple(self._changes.lines),
            notes=tuple(self._notes),
        )

    def _queue_attributes(self, dead: "_Queue") -> dict[str, str]:
        redrive = {"deadLetterTargetArn": dead.arn, "maxReceiveCount": self._spec.receive_count_max}
        attributes = {
            "VisibilityTimeout": str(self._spec.visibility_timeout_s),
            "ReceiveMessageWaitTimeSeconds": "20",
            "RedrivePolicy": orjson.dumps(redrive).decode(),
        }
        if self._spec.fifo:
            # The worker needs order within a conversation only, so each message group may have the full throughput.
            attributes |= {"DeduplicationScope": "messageGroup", "FifoThroughputLimit": "perMessageGroupId"}
        return attributes

    async def _topic(self, name: str) -> str:
        """The topic's ARN; empty if a dry run did not make it."""
        async for page in self._sns.get_paginator("list_topics").paginate():
            for topic in page.get("Topics", []):
                arn: str = _required(topic, "TopicArn", "SNS ListTopics")
                if arn.rpartition(":")[2] == name:
                    return arn
        attributes = {"FifoTopic": "true", "ContentBasedDeduplication": "false"} if self._spec.fifo else {}
        created = await self._changes.make(
            [f"topic {name}: new"], lambda: self._sns.create_topic(Name=name, Attributes=attributes)
        )
        return "" if created is None else str(_required(created, "TopicArn", "SNS CreateTopic"))

    async def _queue(self, name: str, wanted: Mapping[str, str]) -> "_Queue":
        url = await self._queue_url(name)
        if url is None:
            kind = {"FifoQueue": "true"} if self._spec.fifo else {}
            attributes: Any = {**kind, **wanted}
            created = await self._changes.make(
                [f"queue {name}: new"], lambda: self._sqs.create_queue(QueueName=name, Attributes=attributes)
            )
            if created is None:
                return _Queue(name=name, url="", arn=name)
            url = str(_required(created, "QueueUrl", "SQS CreateQueue"))
        found = await self._attributes(url)
        arn = _required(found, "QueueArn", "SQS GetQueueAttributes")
        differing: Any = {key: value for key, value in sorted(wanted.items()) if not _same(found.get(key), value)}
        if differing:
            lines = [f"queue {name}: {key} {found.get(key) or 'not set'} → {differing[key]}" for key in differing]
            await self._changes.make(lines, lambda: self._sqs.set_queue_attributes(QueueUrl=url, Attributes=differing))
        return _Queue(name=name, url=url, arn=arn)

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

    async def _allow(self, queue: "_Queue", topics: Sequence[str]) -> None:
        """Let the topics send to the queue. Other statements of the queue's policy stay."""
        found = (await self._attributes(queue.url)).get("Policy") if queue.url else None
        try:
            policy = policy_for_topics(found, queue.arn, topics)
            denials = denials_of_sending(found)
        except ValueError as error:
            raise Misconfigured(
                f"queue {queue.name}: its access policy cannot be read, {error}: correct or remove it"
            ) from error
        if denials:
            self._notes.append(
                f"queue {queue.name}: its access policy's Deny statements stay ({', '.join(denials)}): "
                "they must let SNS send, as a Deny is stronger than every Allow"
            )
        if policy is None:
            return
        attributes: Any = {"Policy": orjson.dumps(policy).decode()}
        names = " and ".join(topic.rpartition(":")[2] for topic in topics)
        line = f"queue {queue.name}: Policy: {names} may send, other statements kept: {len(policy['Statement']) - 1}"
        await self._changes.make(
            [line], lambda: self._sqs.set_queue_attributes(QueueUrl=queue.url, Attributes=attributes)
        )

    async def _subscribe(self, topic: str, name: str, queue: "_Queue") -> None:
        wanted = self._subscription_attributes()
        subscription = await self._subscription(topic, queue.arn) if topic else None
        if subscription is None:
            await self._changes.make(
                [f"subscription of {queue.name} to {name}: new"],
                lambda: self._sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue.arn, Attributes=wanted),
            )
            return
        response = await self._sns.get_subscription_attributes(SubscriptionArn=subscription)
        found = _required(response, "Attributes", "SNS GetSubscriptionAttributes")
        if "FilterPolicy" not in wanted and not _same(found.get("FilterPolicy"), _FILTER):
            self._note_filter(name, found)
        for key, value in wanted.items():
            before = found.get(key, _SUBSCRIPTION_DEFAULTS.get(key))
            if not _same(before, value):
                await self._changes.make(
                    [f"subscription of {queue.name} to {name}: {key} {before or 'not set'} → {value}"],
                    partial(self._set_subscription_attribute, subscription, key, value),
                )

    async def _set_subscription_attribute(self, subscription: str, name: str, value: str) -> None:
        await self._sns.set_subscription_attributes(
            SubscriptionArn=subscription, AttributeName=name, AttributeValue=value
        )

    def _note_filter(self, topic: str, found: Mapping[str, str]) -> None:
        policy = found.get("FilterPolicy")
        if policy:
            self._notes.append(
                f"subscription to {topic}: its filter policy {policy} stays: it must let {', '.join(EVENT_PREFIXES)} "
                "through, by the body; --filter sets one that does"
            )

    def _subscription_attributes(self) -> dict[str, str]:
        attributes = {"RawMessageDelivery": str(self._spec.raw).lower()}
        if self._spec.filtered:
            # The scope first: SNS checks a filter policy against it.
            attributes |= {"FilterPolicyScope": "MessageBody", "FilterPolicy": _FILTER}
        return attributes

    async def _subscription(self, topic: str, queue_arn: str) -> str | None:
        async for page in self._sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=topic):
            for subscription in page.get("Subscriptions", []):
                arn = subscription.get("SubscriptionArn", "")
                # An unconfirmed subscription has no ARN yet.
                if subscription.get("Endpoint") == queue_arn and arn.startswith("arn:"):
                    return arn
        return None


class _Queue(Struct, frozen=True, kw_only=True):
    """A queue as it is. In a dry run a queue that does not exist has no URL, and its name in the place of the ARN."""

    name: str
    url: str
    arn: str


def _required(response: Mapping[str, Any], key: str, call: str) -> Any:
    """The part `key`, which AWS always sends. Raises Misconfigured if it is missing: another service responded."""
    if key not in response:
        raise Misconfigured(f"{call}: the response has no {key}: check AWS_ENDPOINT_URL")
    return response[key]


def _same(found: str | None, wanted: str) -> bool:
    """Whether two attributes mean the same: JSON is compared by value, and a number equals the text of it."""
    if not found or not wanted.startswith("{"):
        return found == wanted
    try:
        return bool(_as_texts(orjson.loads(found)) == _as_texts(orjson.loads(wanted)))
    except orjson.JSONDecodeError:
        return False


def _as_texts(value: Any) -> Any:
    match value:
        case dict():
            return {key: _as_texts(each) for key, each in value.items()}
        case list():
            return [_as_texts(each) for each in value]
        case _:
            return str(value)
