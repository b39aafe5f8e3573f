"""Clients of everything outside, each with connections of its own, and which of them the settings choose."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from handlers.ports import Clock
from worker.aws.clients import find_credentials, sns_client, sqs_client
from worker.aws.http_calls import ServiceEndpoint, http_session
from worker.aws.network import proxy_for, trusted_certificates
from worker.aws.sns_http import SnsHttp
from worker.aws.sqs_http import SqsHttp
from worker.mongo.client import mongo_client
from worker.mongo.database import Client
from worker.ports import LONG_POLL_S
from worker.settings import Settings

if TYPE_CHECKING:
    from types_aiobotocore_sns.client import SNSClient
    from types_aiobotocore_sqs.client import SQSClient

_CALL_SECONDS_MAX: Final = 10
_POLL_SECONDS_MAX: Final = LONG_POLL_S + 10
_SETTLING_CONNECTIONS: Final = 30
_PUBLISHING_CONNECTIONS: Final = 10


class Clients(Struct, frozen=True, kw_only=True):
    """`sqs` and `sns` are the library's, for what is rare; the others make the calls that are made all the time."""

    sqs: "SQSClient"
    polling: "SQSClient | SqsHttp"
    settling: "SQSClient | SqsHttp"
    sns: "SNSClient"
    publishing: "SNSClient | SnsHttp"
    mongo: Client


@asynccontextmanager
async def connected(settings: Settings, clock: Clock) -> AsyncIterator[Clients]:
    """Clients none of which has been asked yet. Raises Misconfigured."""
    tls = trusted_certificates()
    async with AsyncExitStack() as stack:

        async def sqs_opened(read_timeout_s: float, connections_max: int) -> "SQSClient":
            opened = sqs_client(settings.sqs_endpoint, read_timeout_s=read_timeout_s, connections_max=connections_max)
            return await stack.enter_async_context(opened)

        async def place(client: Any, service: str, read_timeout_s: float, connections_max: int) -> ServiceEndpoint:
            """Where the library's client finds the service."""
            url = client.meta.endpoint_url
            http = http_session(
                proxy=proxy_for(url), tls=tls, read_timeout_s=read_timeout_s, connections_max=connections_max
            )
            return ServiceEndpoint(
                service=service,
                url=url,
                region=client.meta.region_name,
                http=await stack.enter_async_context(http),
                find_credentials=find_credentials,
                clock=clock,
            )

        mongo = await stack.enter_async_context(mongo_client(settings.mongodb_uri, settings.store_deadline_seconds))
        sqs = await sqs_opened(_CALL_SECONDS_MAX, _SETTLING_CONNECTIONS)
        polling: SQSClient | SqsHttp
        settling: SQSClient | SqsHttp = sqs
        if settings.sqs_transport == "lean":
            polling = SqsHttp(await place(sqs, "sqs", _POLL_SECONDS_MAX, settings.receivers))
            settling = SqsHttp(await place(sqs, "sqs", _CALL_SECONDS_MAX, _SETTLING_CONNECTIONS))
        else:
            polling = await sqs_opened(_POLL_SECONDS_MAX, settings.receivers)
        sns = await stack.enter_async_context(sns_client(settings.sns_endpoint))
        publishing: SNSClient | SnsHttp = sns
        if settings.sns_transport == "lean":
            publishing = SnsHttp(await place(sns, "sns", _CALL_SECONDS_MAX, _PUBLISHING_CONNECTIONS))
        yield Clients(sqs=sqs, polling=polling, settling=settling, sns=sns, publishing=publishing, mongo=mongo)
