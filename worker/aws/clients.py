"""Clients of SQS and SNS: AWS's own, and signed HTTP for the calls that every message needs, as the settings choose."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from aiobotocore.config import AioConfig
from botocore.exceptions import BotoCoreError
from msgspec import Struct

from handlers.ports import Clock
from worker.aws.http_calls import ServiceEndpoint, http_session
from worker.aws.network import ca_bundle, proxy_for, trusted_certificates
from worker.aws.session import CALL_TIMEOUT_S, CONNECT_TIMEOUT_S, RETRIES, aws_session
from worker.aws.sns.http_transport import SnsHttp
from worker.aws.sqs.http_transport import SqsHttp
from worker.errors import Misconfigured, first_line
from worker.ports.aws_calls import AwsEndpoint
from worker.ports.message_queue import LONG_POLL_S
from worker.runtime.clock import SystemClock
from worker.settings.settings import Settings

if TYPE_CHECKING:
    from types_aiobotocore_sns.client import SNSClient
    from types_aiobotocore_sqs.client import SQSClient

_POLL_TIMEOUT_S: Final = LONG_POLL_S + 10
_SETTLING_CONNECTIONS: Final = 30
_PUBLISHING_CONNECTIONS: Final = 10


class AwsClients(Struct, frozen=True, kw_only=True):
    """`sqs` and `sns` are AWS's own clients, for rare calls. The others make the calls that every message needs."""

    sqs: "SQSClient"
    polling: "SQSClient | SqsHttp"
    settling: "SQSClient | SqsHttp"
    sns: "SNSClient"
    publishing: "SNSClient | SnsHttp"


@asynccontextmanager
async def aws_clients(settings: Settings, clock: Clock) -> AsyncIterator[AwsClients]:
    """The clients that the settings choose, not connected yet, closed at the end. Raises Misconfigured."""
    tls = trusted_certificates()
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aws_session(settings.aws_region, clock))

        async def library_sqs(read_timeout_s: float, connections_max: int) -> "SQSClient":
            client = library_client(session, "sqs", settings.sqs_endpoint, read_timeout_s, connections_max)
            opened: SQSClient = await stack.enter_async_context(client)
            return opened

        async def http_endpoint(
            client: Any, service: str, read_timeout_s: float, connections_max: int
        ) -> ServiceEndpoint:
            """The address at which AWS's client finds the service, with a connection pool of its own."""
            url = client.meta.endpoint_url
            http = http_session(
                proxy=proxy_for(url), tls=tls, read_timeout_s=read_timeout_s, connections_max=connections_max
            )
            return ServiceEndpoint(
                service=service,
                url=url,
                region=client.meta.region_name,
                http=await stack.enter_async_context(http),
                find_credentials=session.get_credentials,
                clock=clock,
            )

        sqs = await library_sqs(CALL_TIMEOUT_S, _SETTLING_CONNECTIONS)
        polling: SQSClient | SqsHttp
        settling: SQSClient | SqsHttp = sqs
        if settings.sqs_transport == "http":
            polling = SqsHttp(await http_endpoint(sqs, "sqs", _POLL_TIMEOUT_S, settings.receivers))
            settling = SqsHttp(await http_endpoint(sqs, "sqs", CALL_TIMEOUT_S, _SETTLING_CONNECTIONS))
        else:
            polling = await library_sqs(_POLL_TIMEOUT_S, settings.receivers)
        sns = await stack.enter_async_context(
            library_client(session, "sns", settings.sns_endpoint, CALL_TIMEOUT_S, _PUBLISHING_CONNECTIONS)
        )
        publishing: SNSClient | SnsHttp = sns
        if settings.sns_transport == "http":
            publishing = SnsHttp(await http_endpoint(sns, "sns", CALL_TIMEOUT_S, _PUBLISHING_CONNECTIONS))
        yield AwsClients(sqs=sqs, polling=polling, settling=settling, sns=sns, publishing=publishing)


@asynccontextmanager
async def sqs_client(
    endpoint: AwsEndpoint, *, read_timeout_s: float, connections_max: int
) -> AsyncIterator["SQSClient"]:
    """AWS's SQS client with a connection pool of its own, closed at the end. Raises Misconfigured."""
    async with _library_client("sqs", endpoint, read_timeout_s, connections_max) as client:
        yield client


@asynccontextmanager
async def sns_client(
    endpoint: AwsEndpoint, *, read_timeout_s: float = 10, connections_max: int = 10
) -> AsyncIterator["SNSClient"]:
    """AWS's SNS client with a connection pool of its own, closed at the end. Raises Misconfigured."""
    async with _library_client("sns", endpoint, read_timeout_s, connections_max) as client:
        yield client


@asynccontextmanager
async def _library_client(
    service: str, endpoint: AwsEndpoint, read_timeout_s: float, connections_max: int
) -> AsyncIterator[Any]:
    async with (
        aws_session(endpoint.region, SystemClock()) as session,
        library_client(session, service, endpoint, read_timeout_s, connections_max) as client,
    ):
        yield client


@asynccontextmanager
async def library_client(
    session: Any, service: str, endpoint: AwsEndpoint, read_timeout_s: float, connections_max: int
) -> AsyncIterator[Any]:
    """A client of AWS's library in the session, with a connection pool of its own. Raises Misconfigured."""
    config = AioConfig(
        connect_timeout=CONNECT_TIMEOUT_S,
        read_timeout=read_timeout_s,
        max_pool_connections=connections_max,
        retries=RETRIES,
    )
    verify = ca_bundle(session) or True
    try:
        opened = session.create_client(
            service, region_name=endpoint.region, endpoint_url=endpoint.url, config=config, verify=verify
        )
        client = await opened.__aenter__()
    except (BotoCoreError, ValueError) as error:
        raise Misconfigured(
            f"{service}: {first_line(error)}: check AWS_REGION, AWS_ENDPOINT_URL and the AWS profile"
        ) from error
    try:
        yield client
    finally:
        await opened.__aexit__(None, None, None)
