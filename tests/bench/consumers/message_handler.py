"""The worker's handlers for one message and one transaction at a time: the handler of `one-by-one` and of the peers.

Reads, writes, announcements and audit lines are the worker's, each for a single message.
"""

import os
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from pydantic import SecretStr

from handlers.batch_handler import BatchHandler
from handlers.events.event import Event
from handlers.events.parser import read_message
from handlers.options import Options
from worker.aws.clients import sns_client
from worker.aws.sns.topics import SnsTopics
from worker.mongo.adapters.outbox import MongoOutbox
from worker.mongo.client import mongo_client
from worker.mongo.store import MongoStore
from worker.outbox.topic_message import topic_message
from worker.ports.aws_calls import AwsEndpoint
from worker.runtime.clock import ObjectIds, SystemClock
from worker.telemetry.audit_log import log_handled
from worker.telemetry.logs import LogIdentity, open_log
from worker.telemetry.metrics import NoMetrics, Telemetry

_DEADLINE_S = 10.0


def endpoint(service: str) -> AwsEndpoint:
    """The region and address of a service (`SQS`, `SNS`), from the environment."""
    return AwsEndpoint(region=os.environ["AWS_REGION"], url=os.environ[f"AWS_ENDPOINT_URL_{service}"])


class MessageHandler:
    """Handles one message; its caller deletes the message when `handle` returns."""

    def __init__(self, *, handler: BatchHandler, outbox: MongoOutbox, topics: SnsTopics, telemetry: Telemetry) -> None:
        self._handler = handler
        self._outbox = outbox
        self._topics = topics
        self._telemetry = telemetry

    async def handle(self, body: str) -> None:
        """Handles a message body, with or without SNS's envelope, and publishes the announcements. Raises errors."""
        event = read_message(body)
        assert isinstance(event, Event), event
        [handled] = await self._handler.handle([event])
        log_handled([handled], self._telemetry)
        for one in handled.announcements:
            arn = os.environ[f"SNS_{one.side.upper().replace('-', '_')}_TOPIC_ARN"]
            await self._topics.publish(arn, [topic_message(id=one.id, group=one.conversation_id, text=one.message)])
            await self._outbox.remove_entries([one.id])


@asynccontextmanager
async def message_handler() -> AsyncIterator[MessageHandler]:
    """A handler on the store and the topics that the environment names."""
    clock, database = SystemClock(), os.environ["MONGODB_DATABASE"]
    async with AsyncExitStack() as stack:
        mongo = await stack.enter_async_context(mongo_client(SecretStr(os.environ["MONGODB_URI"]), _DEADLINE_S))
        topics = SnsTopics(await stack.enter_async_context(sns_client(endpoint("SNS"))))
        store = MongoStore(mongo, database, clock=clock, ids=ObjectIds(), deadline_s=_DEADLINE_S)
        await store.ensure_indexes(revision_days=400)
        yield MessageHandler(
            handler=BatchHandler(store=store, clock=clock, ids=ObjectIds(), chance=random, options=Options()),
            outbox=MongoOutbox(mongo, database, deadline_s=_DEADLINE_S),
            topics=topics,
            telemetry=Telemetry(metrics=NoMetrics(), log=open_log(level="info", identity=LogIdentity(), clock=clock)),
        )
