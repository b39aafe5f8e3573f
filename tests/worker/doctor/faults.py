"""Faults that are made on purpose: what is done to the system, what the doctor must find, and a word of the remedy."""

import json
import socket
from collections.abc import Awaitable, Callable
from typing import Any

from aiobotocore.session import get_session
from msgspec import Struct

from handlers.events.heartbeat import HEARTBEAT_NAME
from handlers.events.readers import READERS_BY_NAME
from tests.handlers.wire_events import conversation, work_item
from tests.worker.doctor.patients import Patient
from tests.worker.stand_ins.moto_clients import Aws
from tests.worker.telemetry.agent.agents import free_port
from worker.findings import FindingCode as Code

Inflict = Callable[[Patient], Awaitable[None]]


class SetupFault(Struct, frozen=True):
    """`codes`: all that is found, each once, in order. `subject`, `remedy`: parts of the first finding's. `apart`: the
    doctor looks in a process of its own."""

    name: str
    inflict: Inflict
    codes: tuple[Code, ...]
    subject: str
    remedy: str
    apart: bool = False


def environment(**variables: str | None) -> Inflict:
    async def inflict(patient: Patient) -> None:
        for name, value in variables.items():
            patient.unset(name)
            if value is not None:
                patient.set(**{name: value})

    return inflict


def queue(**attributes: str) -> Inflict:
    return lambda patient: patient.queue(**attributes)


async def _one_topic(patient: Patient) -> None:
    patient.set(SNS_WORK_ITEM_TOPIC_ARN=patient.made.conversation_topic_arn)


async def _port_taken(patient: Patient) -> None:
    taken = socket.create_server(("127.0.0.1", 0))
    patient.held.append(taken)
    patient.set(HTTP_PORT=str(taken.getsockname()[1]))


async def _agent_closed(patient: Patient) -> None:
    patient.set(STATSD_HOST="127.0.0.1", STATSD_PORT=str(free_port()))


async def _certificates(patient: Patient) -> None:
    patient.set(AWS_CA_BUNDLE=__file__)


async def _clock_off(patient: Patient) -> None:
    patient.clock_ahead_s = 400


async def _clock_drifts(patient: Patient) -> None:
    patient.clock_ahead_s = -30


async def _no_queue(patient: Patient) -> None:
    await patient.aws.sqs.delete_queue(QueueUrl=patient.made.queue_url)


async def _no_dead_letter_queue(patient: Patient) -> None:
    await patient.aws.sqs.delete_queue(QueueUrl=patient.made.dead_letter_queue_url)


async def _no_topic(patient: Patient) -> None:
    await patient.aws.sns.delete_topic(TopicArn=patient.made.work_item_topic_arn)


async def _unsubscribed(patient: Patient) -> None:
    arn = await patient.subscription(patient.made.work_item_topic_arn)
    await patient.aws.sns.unsubscribe(SubscriptionArn=arn)


async def _other_source(patient: Patient) -> None:
    await patient.policy(Condition={"ArnEquals": {"aws:SourceArn": patient.made.conversation_topic_arn}})


async def _other_conditions(patient: Patient) -> None:
    await patient.policy(Condition={"StringEquals": {"aws:PrincipalOrgID": "o-1"}})


async def _denied(patient: Patient) -> None:
    policy = json.loads(await patient.attribute("Policy"))
    policy["Statement"].append({"Sid": "nobody", "Effect": "Deny", "Principal": "*", "Action": "sqs:*"})
    await patient.queue(Policy=json.dumps(policy))


async def _kms(aws: Aws, call: str, **arguments: Any) -> dict[str, Any]:
    # moto answers some calls with `null`, which the worker's own parsers refuse.
    async with get_session().create_client("kms", region_name="us-east-1", endpoint_url=aws.endpoint.url) as kms:
        answer: dict[str, Any] = await getattr(kms, call)(**arguments)
        return answer


async def _key(patient: Patient, **policy: Any) -> str:
    made = await _kms(patient.aws, "create_key", **policy)
    key = str(made["KeyMetadata"]["KeyId"])
    await patient.queue(KmsMasterKeyId=key)
    return key


async def _key_disabled(patient: Patient) -> None:
    await _kms(patient.aws, "disable_key", KeyId=await _key(patient))


async def _key_closed(patient: Patient) -> None:
    statement = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "kms:Encrypt"}
    await _key(patient, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))


def _stored(collection: str, *documents: dict[str, Any]) -> Inflict:
    async def inflict(patient: Patient) -> None:
        patient.documents[collection].insert_many([dict(document) for document in documents])

    return inflict


async def _unique_index(patient: Patient) -> None:
    patient.documents["work_items"].create_index("conversationId", unique=True, name="theirs")


async def _same_name(patient: Patient) -> None:
    patient.documents["outbox"].create_index("createdAt", name="by_status_and_age")


async def _large_collection(patient: Patient) -> None:
    patient.documents["outbox"].insert_many([{"_id": f"{n:06}"} for n in range(100_000)])


async def _read_only_user(patient: Patient) -> None:
    roles = [{"role": "read", "db": patient.database}]
    patient.mongo[patient.database].command("createUser", "reader", pwd="hunter2", roles=roles)
    patient.credentials("reader", "hunter2")


async def _long_transactions(patient: Patient) -> None:
    patient.parameter("transactionLifetimeLimitSeconds", 60)


TWICE = [{**work_item(1, key=f"w-{n}"), "_id": f"w-{n}", "conversationId": "c-1", "active": True} for n in (1, 2)]
HIDDEN = {"_id": "s-1", "user": "u-1", "active": "true"}
STRAY = [{**conversation(1), "_id": "c-1"}, {**conversation(1), "_id": 7}]

FAULTS = [
    SetupFault(
        "no setting", environment(MONGODB_URI=None), (Code.SETTING_WRONG,), "MONGODB_URI", "set it to mongodb://"
    ),
    SetupFault(
        "settings that contradict each other",
        environment(IN_HAND_MAX="10", RECEIVERS="8"),
        (Code.SETTING_WRONG,),
        "IN_HAND_MAX",
        "RECEIVERS to at most 1",
    ),
    SetupFault(
        "a blank behind a value", environment(SYNC_POLICY="causal "), (Code.SETTING_WRONG,), "SYNC_POLICY", "remove it"
    ),
    SetupFault(
        "a mistyped variable",
        environment(SYNC_POLCY="legacy"),
        (Code.SETTING_MISTYPED,),
        "SYNC_POLCY",
        "rename it to SYNC_POLICY",
    ),
    SetupFault("one topic for both", _one_topic, (Code.TOPICS_DOUBTFUL,), "topics", "each to its own topic"),
    SetupFault(
        "no heartbeat", environment(HEARTBEAT_SECONDS="0"), (Code.HEARTBEAT_OFF,), "HEARTBEAT_SECONDS", "from 1"
    ),
    SetupFault("a port that is taken", _port_taken, (Code.ADDRESS_TAKEN,), "HTTP_PORT", "choose another port"),
    SetupFault(
        "no agent at its port", _agent_closed, (Code.AGENT_UNREACHABLE,), "Datadog agent 127.0.0.1", "start the agent"
    ),
    SetupFault(
        "no socket of the agent",
        environment(DD_DOGSTATSD_SOCKET="/nowhere/dsd.socket"),
        (Code.AGENT_UNREACHABLE,),
        "/nowhere/dsd.socket",
        "start the agent",
    ),
    SetupFault("no certificates", _certificates, (Code.AWS_UNUSABLE,), "AWS_CA_BUNDLE", "a file of PEM certificates"),
    SetupFault(
        "no AWS at its address",
        environment(AWS_ENDPOINT_URL="http://127.0.0.1:9"),
        (Code.AWS_AWAY,),
        "SQS",
        "AWS_ENDPOINT_URL",
    ),
    SetupFault("a clock minutes off", _clock_off, (Code.CLOCK_OFF,), "clock beside AWS's", "set this machine's clock"),
    SetupFault(
        "a clock seconds off", _clock_drifts, (Code.CLOCK_DRIFTS,), "clock beside AWS's", "set this machine's clock"
    ),
    SetupFault("no queue", _no_queue, (Code.QUEUE_ABSENT,), "SQS_QUEUE_URL", "check the queue's URL"),
    SetupFault(
        "no redrive policy", queue(RedrivePolicy=""), (Code.REDRIVE_ABSENT,), "redrive", "routing-sync provision"
    ),
    SetupFault(
        "no dead-letter queue",
        _no_dead_letter_queue,
        (Code.DEAD_LETTER_QUEUE_ABSENT,),
        "dead-letters",
        "correct the RedrivePolicy",
    ),
    SetupFault("one delivery", lambda p: p.redrive(1), (Code.ONE_DELIVERY,), "redrive", "set maxReceiveCount to 10"),
    SetupFault(
        "few deliveries", lambda p: p.redrive(3), (Code.FEW_DELIVERIES,), "redrive", "set maxReceiveCount to 10"
    ),
    SetupFault(
        "a gap below the visibility timeout",
        environment(SYNC_GAP_SECONDS="20"),
        (Code.VISIBILITY_ABOVE_GAP,),
        "SYNC_GAP_SECONDS 20",
        "raise it or shorten the timeout",
    ),
    SetupFault(
        "a short visibility timeout",
        queue(VisibilityTimeout="15"),
        (Code.VISIBILITY_SHORT,),
        "visibility timeout",
        "raise it to 20 s",
    ),
    SetupFault(
        "a short retention",
        queue(MessageRetentionPeriod="3600"),
        (Code.RETENTION_SHORT,),
        "queue retention",
        "routing-sync provision",
    ),
    SetupFault(
        "dead letters that are gone in an hour",
        lambda p: p.dead_letter_queue(MessageRetentionPeriod="3600"),
        (Code.RETENTION_SHORT,),
        "dead-letter queue retention",
        "routing-sync provision",
    ),
    SetupFault("delayed messages", queue(DelaySeconds="60"), (Code.DELIVERY_DELAYED,), "delay", "DelaySeconds to 0"),
    SetupFault(
        "a queue of small messages",
        queue(MaximumMessageSize="1024"),
        (Code.MESSAGE_SIZE_SHORT,),
        "queue message size",
        "MaximumMessageSize to 262144",
    ),
    SetupFault(
        "small dead letters",
        lambda p: p.dead_letter_queue(MaximumMessageSize="1024"),
        (Code.MESSAGE_SIZE_SHORT,),
        "dead-letter queue message size",
        "MaximumMessageSize to 1048576",
    ),
    SetupFault(
        "a key of AWS's", queue(KmsMasterKeyId="alias/aws/sqs"), (Code.KEY_OF_AWS,), "alias/aws/sqs", "with SSE-SQS"
    ),
    SetupFault("a disabled key", _key_disabled, (Code.KEY_UNUSABLE,), "encryption key", "enable it"),
    SetupFault("an absent key", queue(KmsMasterKeyId="alias/none"), (Code.KEY_UNUSABLE,), "alias/none", "that exists"),
    SetupFault(
        "a key that SNS may not use", _key_closed, (Code.KEY_CLOSED,), "encryption key", "allow sns.amazonaws.com"
    ),
    SetupFault("no topic", _no_topic, (Code.TOPIC_ABSENT,), "SNS_WORK_ITEM_TOPIC_ARN", "correct the ARN"),
    SetupFault(
        "no policy of the queue", queue(Policy=""), (Code.TOPIC_NOT_ALLOWED,), "queue policy", "routing-sync provision"
    ),
    SetupFault(
        "a policy for the other topic",
        _other_source,
        (Code.TOPIC_NOT_ALLOWED,),
        "queue policy for SNS_WORK_ITEM_TOPIC_ARN",
        "aws:SourceArn",
    ),
    SetupFault(
        "a policy that only AWS can judge",
        _other_conditions,
        (Code.TOPIC_PERHAPS_ALLOWED,),
        "queue policy for SNS_CONVERSATION_TOPIC_ARN",
        "see that they hold",
    ),
    SetupFault("a policy that denies", _denied, (Code.SENDING_DENIED,), "queue policy", "except sns.amazonaws.com"),
    SetupFault(
        "no subscription",
        _unsubscribed,
        (Code.SUBSCRIPTION_ABSENT,),
        "subscription to SNS_WORK_ITEM_TOPIC_ARN",
        "routing-sync provision",
    ),
    SetupFault(
        "a filter without the heartbeat",
        lambda p: p.filter({"name": [{"prefix": "kustomer.conversation."}]}),
        (Code.FILTER_BLOCKS,),
        "subscription to SNS_CONVERSATION_TOPIC_ARN",
        "provision --filter",
    ),
    SetupFault(
        "a filter by attributes",
        lambda p: p.filter({"name": [{"exists": True}]}, "MessageAttributes"),
        (Code.FILTER_BLOCKS,),
        "subscription to SNS_CONVERSATION_TOPIC_ARN",
        "provision --filter",
    ),
    SetupFault(
        "a filter by whole names",
        lambda p: p.filter({"name": [*(each for each in READERS_BY_NAME if "conversation" in each), HEARTBEAT_NAME]}),
        (Code.FILTER_NARROW,),
        "subscription to SNS_CONVERSATION_TOPIC_ARN",
        "by the beginnings of the names",
    ),
    SetupFault(
        "a filter by org",
        lambda p: p.filter({"org": ["o-1"]}),
        (Code.FILTER_NARROW,),
        "subscription to SNS_CONVERSATION_TOPIC_ARN",
        "filter by the name alone",
    ),
    SetupFault(
        "no MongoDB at its address",
        environment(MONGODB_URI="mongodb://127.0.0.1:9/?replicaSet=rs0", STORE_DEADLINE_SECONDS="1"),
        (Code.STORE_AWAY,),
        "MongoDB",
        "correct MONGODB_URI",
        apart=True,
    ),
    SetupFault(
        "another replica set",
        lambda p: environment(MONGODB_URI=p.uri.replace("rs0", "rs1"), STORE_DEADLINE_SECONDS="1")(p),
        (Code.STORE_UNUSABLE,),
        "MONGODB_URI",
        "correct MONGODB_URI",
        apart=True,
    ),
    SetupFault("long transactions", _long_transactions, (Code.TRANSACTIONS_LONG,), "transactionLifetime", "10 or less"),
    SetupFault(
        "few connections",
        lambda p: environment(MONGODB_URI=f"{p.uri}&maxPoolSize=100000")(p),
        (Code.CONNECTIONS_FEW,),
        "MongoDB connections",
        "raise maxIncomingConnections",
    ),
    SetupFault(
        "a user who only reads", _read_only_user, (Code.STORE_RIGHT_MISSING,), "MongoDB rights", "the role readWrite"
    ),
    SetupFault(
        "a unique index of others", _unique_index, (Code.INDEX_IN_THE_WAY,), "work_items", 'dropIndex("theirs")'
    ),
    SetupFault(
        "another index of our name", _same_name, (Code.INDEX_IN_THE_WAY,), "outbox", 'dropIndex("by_status_and_age")'
    ),
    SetupFault(
        "a large collection without index", _large_collection, (Code.INDEX_TO_BUILD,), "outbox", "build them before"
    ),
    SetupFault(
        "two active work-items",
        _stored("work_items", *TWICE),
        (Code.DUPLICATE_WORK_ITEMS,),
        "work_items",
        "complete all",
    ),
    SetupFault("ids of another type", _stored("queues", {"_id": 1}), (Code.FOREIGN_IDS,), "queues", "MONGODB_DATABASE"),
    SetupFault(
        "a stray id", _stored("conversations", *STRAY), (Code.STRAY_ID,), "conversations", "under the id as text"
    ),
    SetupFault(
        "a field of another type", _stored("work_sessions", HIDDEN), (Code.FOREIGN_FIELD,), "active", "right type"
    ),
    SetupFault(
        "an empty database",
        environment(STATE_FROM_EVENTS="false"),
        (Code.NO_CONVERSATIONS,),
        "conversations",
        "MONGODB_DATABASE",
    ),
]
