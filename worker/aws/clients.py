"""AWS clients and what can be wrong with them: botocore's many exceptions become three kinds of trouble.

    AwsAway          it cannot be used now: not reachable, overloaded, or refusing for a reason that an operator mends
    ├─ QueueAway     SQS
    └─ TopicsAway    SNS
    Misconfigured    found at start: waiting would not help, a person must change something

Whatever else AWS answers is a fault in our code and stays botocore's own exception.
"""

import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.exceptions import (
    BotoCoreError,
)
from botocore.loaders import create_loader

from worker.aws.responses import CheckedParsers
from worker.errors import Misconfigured, first_line
from worker.ports import AwsEndpoint

if TYPE_CHECKING:
    from types_aiobotocore_sns.client import SNSClient
    from types_aiobotocore_sqs.client import SQSClient


_LOADER: Final = create_loader()
"""AWS's descriptions of its services, large files, are read once for all clients."""


@asynccontextmanager
async def sqs_client(
    endpoint: AwsEndpoint, *, read_timeout_s: float, connections_max: int
) -> AsyncIterator["SQSClient"]:
    """An SQS client of its own connection pool, closed at the end."""
    async with _client("sqs", endpoint, read_timeout_s, connections_max) as client:
        yield client


async def find_credentials() -> Any:
    """The library's, by its default chain, renewed by it; None where it finds none. Raises what the library raises."""
    return await get_session().get_credentials()


def ca_bundle(session: Any) -> str | None:
    """The file of certificates to trust in place of the usual, None where none is set. Raises Misconfigured."""
    # The library would not take an empty variable for one that is not set.
    try:
        told = session.get_config_variable("ca_bundle") or os.environ.get("REQUESTS_CA_BUNDLE") or ""
    except BotoCoreError as error:
        raise Misconfigured(f"AWS's configuration: {first_line(error)}") from error
    path = str(told).strip()
    if not path:
        return None
    try:
        # The library would read it at the first call only, and go on as if AWS were away.
        ssl.create_default_context(cafile=path)
    except OSError as error:
        raise Misconfigured(
            f"AWS_CA_BUNDLE {path}: {first_line(error)}: it must be a file of PEM certificates"
        ) from error
    return path


@asynccontextmanager
async def sns_client(
    endpoint: AwsEndpoint, *, read_timeout_s: float = 10, connections_max: int = 10
) -> AsyncIterator["SNSClient"]:
    """An SNS client, closed at the end."""
    async with _client("sns", endpoint, read_timeout_s, connections_max) as client:
        yield client


@asynccontextmanager
async def _client(
    service: str, endpoint: AwsEndpoint, read_timeout_s: float, connections_max: int
) -> AsyncIterator[Any]:
    config = AioConfig(
        connect_timeout=3,
        read_timeout=read_timeout_s,
        max_pool_connections=connections_max,
        # One quick second try for a connection that the server closed; whoever calls knows how long to go on.
        retries={"total_max_attempts": 2, "mode": "standard"},
    )
    # The session's own types need the stubs of every service.
    session: Any = get_session()
    session.register_component("data_loader", _LOADER)
    session.register_component("response_parser_factory", CheckedParsers())
    verify = ca_bundle(session) or True
    try:
        opened = session.create_client(
            service, region_name=endpoint.region, endpoint_url=endpoint.url, config=config, verify=verify
        )
        client = await opened.__aenter__()
    except (BotoCoreError, ValueError) as error:
        raise Misconfigured(f"{service}: {first_line(error)}: check AWS_REGION and AWS_ENDPOINT_URL") from error
    try:
        yield client
    finally:
        await opened.__aexit__(None, None, None)
