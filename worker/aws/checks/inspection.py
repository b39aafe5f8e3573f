"""Calls that only look, for `routing-sync doctor` and the delivery watch: each answer, or refusal, is a value.

No call of this file changes anything. Those of trials.py are made so that AWS refuses them after it has looked at the
rights.
"""

import re
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from msgspec import Struct

from handlers.ports import Clock
from worker.aws.clients import library_client
from worker.aws.errors import DENIED, KEYS_REFUSED, error_code, is_of_another_time, is_overloaded, needs_operator
from worker.aws.network import proxy_for, trusted_certificates
from worker.aws.session import aws_session
from worker.errors import first_line
from worker.ports.aws_calls import AwsEndpoint
from worker.settings.sections.aws import AwsSettings

if TYPE_CHECKING:
    from types_aiobotocore_sns.client import SNSClient
    from types_aiobotocore_sqs.client import SQSClient

_ABSENT: Final = frozenset({
    "InvalidAddress", "NotFound", "NotFoundException", "QueueDeletedRecently", "QueueDoesNotExist",
})  # fmt: skip
_KEYS: Final = KEYS_REFUSED | {
    "IncompleteSignature", "InvalidSignatureException", "MissingAuthenticationToken", "OptInRequired",
    "SignatureDoesNotMatch",
}  # fmt: skip
_XML_CODE: Final = re.compile(r"<Code>(\w+)</Code>")
_XML_TAG: Final = re.compile(r"<[^>]*>")
_READ_TIMEOUT_S: Final = 10
_CONNECTIONS: Final = 20


class CallRefusal(StrEnum):
    """Why there is no response. `OTHER`: AWS looked at the call itself, so the rights let it through."""

    DENIED = "denied"
    ABSENT = "absent"
    CREDENTIALS = "credentials"
    AWAY = "away"
    OTHER = "other"


class CallResult(Struct, frozen=True, kw_only=True):
    """What a call came to. `words` are AWS's or the library's, one line, where `refusal` is set.

    `date`: AWS's clock, from the header `Date`; None where no response came or it has none.
    """

    response: Mapping[str, Any] = {}
    refusal: CallRefusal | None = None
    words: str = ""
    date: datetime | None = None


class Inspector(Struct, frozen=True, kw_only=True):
    """Clients of the services that are looked at. The type of `sts` and `kms` needs stubs that the project has not."""

    sqs: "SQSClient"
    sns: "SNSClient"
    sts: Any
    kms: Any

    async def identity(self) -> CallResult:
        """STS's answer to GetCallerIdentity, which needs no right."""
        return await answered(self.sts.get_caller_identity())

    async def queue_attributes(self, url: str) -> CallResult:
        """The attributes of a queue: `response` holds them themselves."""
        answer = await answered(self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"]))
        return CallResult(
            response=answer.response.get("Attributes") or {},
            refusal=answer.refusal,
            words=answer.words,
            date=answer.date,
        )

    async def queue_url(self, arn: str) -> CallResult:
        """The URL of a queue, under `QueueUrl`."""
        account, _, name = arn.rpartition(":")
        return await answered(self.sqs.get_queue_url(QueueName=name, QueueOwnerAWSAccountId=account.rpartition(":")[2]))

    async def topic_attributes(self, arn: str) -> CallResult:
        """The attributes of a topic: `response` holds them themselves."""
        answer = await answered(self.sns.get_topic_attributes(TopicArn=arn))
        return CallResult(
            response=answer.response.get("Attributes") or {},
            refusal=answer.refusal,
            words=answer.words,
            date=answer.date,
        )

    async def key(self, key: str) -> CallResult:
        """An encryption key's `KeyMetadata`."""
        return await answered(self.kms.describe_key(KeyId=key))

    async def key_policy(self, arn: str) -> CallResult:
        """An encryption key's policy, under `Policy`."""
        return await answered(self.kms.get_key_policy(KeyId=arn, PolicyName="default"))


@asynccontextmanager
async def opened_inspector(settings: AwsSettings, clock: Clock) -> AsyncIterator[Inspector]:
    """The inspector at the settings' endpoints, not connected yet, closed at the end. Raises Misconfigured.

    STS and KMS are where AWS's library finds them, by AWS_ENDPOINT_URL too.
    """
    elsewhere = AwsEndpoint(region=settings.aws_region, url=None)
    endpoints = {"sqs": settings.sqs_endpoint, "sns": settings.sns_endpoint, "sts": elsewhere, "kms": elsewhere}
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aws_session(settings.aws_region, clock))
        clients: dict[str, Any] = {
            service: await stack.enter_async_context(
                library_client(session, service, endpoint, _READ_TIMEOUT_S, _CONNECTIONS)
            )
            for service, endpoint in endpoints.items()
        }
        # The calls that each message needs are made without the library, which would read these by itself.
        trusted_certificates()
        for service in ("sqs", "sns"):
            proxy_for(clients[service].meta.endpoint_url)
        yield Inspector(**clients)


async def answered(call: Awaitable[Any]) -> CallResult:
    """The answer to a call of AWS's client. Raises the library's exceptions only for a defect in the code."""
    try:
        response = await call
    except ClientError as error:
        code, message = _code_and_message(error)
        return CallResult(refusal=_refusal(error, code), words=f"{code}: {message}", date=_date(error.response))
    except (BotoCoreError, ResponseParserError, OSError) as error:
        refusal = CallRefusal.CREDENTIALS if needs_operator(error) else CallRefusal.AWAY
        return CallResult(refusal=refusal, words=first_line(error))
    return CallResult(response=response, date=_date(response))


def _code_and_message(error: ClientError) -> tuple[str, str]:
    """AWS's error code and words. A gateway may answer in XML what was asked in JSON; then the code stands in it."""
    words = str(error.response.get("Error", {}).get("Message", ""))
    code, in_xml = error_code(error), _XML_CODE.search(words)
    if code.isdigit() and in_xml is not None:
        code, words = in_xml[1], _XML_TAG.sub(" ", words.partition("<Message>")[2].partition("</Message>")[0])
    return code, " ".join(words.split())


def _refusal(error: ClientError, code: str) -> CallRefusal:
    if code in DENIED:
        return CallRefusal.DENIED
    if is_overloaded(error) or is_of_another_time(error):
        return CallRefusal.AWAY
    if code in _KEYS:
        return CallRefusal.CREDENTIALS
    if code in _ABSENT:
        return CallRefusal.ABSENT
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return CallRefusal.DENIED if status in {401, 403} else CallRefusal.OTHER


def _date(response: Mapping[str, Any]) -> datetime | None:
    headers = (response.get("ResponseMetadata") or {}).get("HTTPHeaders") or {}
    try:
        return parsedate_to_datetime(headers.get("date", "")).astimezone(UTC)
    except (TypeError, ValueError):
        return None
