"""The clients of everything outside the process: AWS and MongoDB, each with connections of its own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from msgspec import Struct

from handlers.ports import Clock
from worker.aws.clients import AwsClients, aws_clients
from worker.mongo.client import mongo_client
from worker.mongo.database import Client
from worker.settings.settings import Settings


class Clients(Struct, frozen=True, kw_only=True):
    """The clients that a worker's adapters share."""

    aws: AwsClients
    mongo: Client


@asynccontextmanager
async def opened_clients(settings: Settings, clock: Clock) -> AsyncIterator[Clients]:
    """Clients that have not connected yet, closed at the end. Raises Misconfigured."""
    async with (
        mongo_client(settings.mongodb_uri, settings.store_deadline_seconds) as mongo,
        aws_clients(settings, clock) as aws,
    ):
        yield Clients(aws=aws, mongo=mongo)
