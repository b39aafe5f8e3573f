"""AWS clients and what can be wrong with them: botocore's many exceptions become three kinds of trouble.

    AwsAway          it cannot be used now: not reachable, overloaded, or refusing for a reason that an operator mends
    ├─ QueueAway     SQS
    └─ TopicsAway    SNS
    Misconfigured    found at start: waiting would not help, a person must change something

Whatever else AWS answers is a fault in our code and stays botocore's own exception.
"""

import os
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, Final

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,  # noqa: A004 - botocore's own name for it
    CredentialRetrievalError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
)
from botocore.loaders import create_loader
from botocore.parsers import ResponseParserError

from worker.aws_answer import Parsers
from worker.aws_endpoint import AwsEndpoint

if TYPE_CHECKING:
    from types_aiobotocore_sns.client import SNSClient
    from types_aiobotocore_sqs.client import SQSClient

_THROTTLED: Final = frozenset({
    "BandwidthLimitExceeded", "EC2ThrottledException", "KMS.ThrottlingException", "KMSThrottling", "KmsThrottled",
    "LimitExceededException", "OverLimit", "PriorRequestNotComplete", "ProvisionedThroughputExceededException",
    "RequestLimitExceeded", "RequestThrottled", "RequestThrottledException", "SlowDown", "Throttled",
    "ThrottledException", "Throttling", "ThrottlingException", "TooManyRequestsException",
})  # fmt: skip
_REFUSED: Final = frozenset({
    "AccessDenied", "AccessDeniedException", "AuthorizationError", "ExpiredToken", "ExpiredTokenException",
    "IncompleteSignature", "InvalidAccessKeyId", "InvalidAddress", "InvalidClientTokenId", "InvalidSecurity",
    "InvalidSignatureException", "MissingAuthenticationToken", "NotAuthorized", "NotFound", "NotFoundException",
    "OptInRequired", "QueueDoesNotExist", "QueueDeletedRecently", "RequestExpired", "SignatureDoesNotMatch",
    "UnrecognizedClientException",
})  # fmt: skip
_REFUSED_PREFIXES: Final = ("Kms", "KMS")
"""The queue's key is disabled, pending deletion, not ours: an operator's to mend, whichever it is."""
_UNREACHABLE: Final = (ConnectionError, HTTPClientError, ResponseParserError, OSError)
_NO_CREDENTIALS: Final = (NoCredentialsError, PartialCredentialsError)

_LOADER: Final = create_loader()
"""AWS's descriptions of its services, large files, are read once for all clients."""


class AwsAway(Exception):
    """A service cannot be used now. No message's fault: wait and try again."""


class QueueAway(AwsAway):
    """SQS cannot be used now."""


class TopicsAway(AwsAway):
    """SNS cannot be used now."""


class Misconfigured(Exception):
    """The worker cannot start as it is set up; the message is one line with the remedy."""


@contextmanager
def translated(what: str, away: type[AwsAway], *, at_start: bool = False) -> Iterator[None]:
    """Run an AWS call under the exceptions of this file's head; `what` says in words what was called.

    A refusal (no such queue, access denied) is `Misconfigured` at start; later it is `away`: an operator is changing
    something, and messages in hand must not be lost over it.
    """
    try:
        yield
    except ClientError as error:
        code, status = code_of(error), error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        line = f"{what}: {code}: {error.response.get('Error', {}).get('Message', '')}"
        if code in _THROTTLED or _untold(code) or status >= 500 or status == 429:
            raise away(line) from error
        if code in _REFUSED or code.startswith(_REFUSED_PREFIXES) or status in {401, 403}:
            raise (Misconfigured if at_start else away)(line) from error
        raise
    except _NO_CREDENTIALS as error:
        line = f"{what}: no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the task a role"
        raise (Misconfigured if at_start else away)(line) from error
    except (*_UNREACHABLE, CredentialRetrievalError) as error:
        raise away(f"{what}: {first_line(error)}") from error


def code_of(error: ClientError) -> str:
    """The error code without the namespace that SQS' older protocol puts before it."""
    code = str(error.response.get("Error", {}).get("Code", "Unknown")).rpartition(".")[2]
    return "QueueDoesNotExist" if code == "NonExistentQueue" else code


def _untold(code: str) -> bool:
    """AWS tells a code. Where none is told, somebody between us answers, and the library puts a number or nothing."""
    return code.isdigit() or code in {"", "Unknown"}


def throttled(code: str) -> bool:
    """Whether the code means: later."""
    return code in _THROTTLED


def first_line(error: BaseException) -> str:
    """An exception in one line."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


@asynccontextmanager
async def sqs_client(
    endpoint: AwsEndpoint, *, read_timeout_seconds: float, connections_max: int
) -> AsyncIterator["SQSClient"]:
    """An SQS client of its own connection pool, closed at the end."""
    async with _client("sqs", endpoint, read_timeout_seconds, connections_max) as client:
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
    endpoint: AwsEndpoint, *, read_timeout_seconds: float = 10, connections_max: int = 10
) -> AsyncIterator["SNSClient"]:
    """An SNS client, closed at the end."""
    async with _client("sns", endpoint, read_timeout_seconds, connections_max) as client:
        yield client


@asynccontextmanager
async def _client(
    service: str, endpoint: AwsEndpoint, read_timeout_seconds: float, connections_max: int
) -> AsyncIterator[Any]:
    config = AioConfig(
        connect_timeout=3,
        read_timeout=read_timeout_seconds,
        max_pool_connections=connections_max,
        # One quick second try for a connection that the server closed; whoever calls knows how long to go on.
        retries={"total_max_attempts": 2, "mode": "standard"},
    )
    # The session's own types need the stubs of every service.
    session: Any = get_session()
    session.register_component("data_loader", _LOADER)
    session.register_component("response_parser_factory", Parsers())
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
