"""A lean way to SQS for the three calls that are made all the time: receive, delete and change visibility, in batches.

The library's client spends several times the CPU of the rest of the worker on building, signing and parsing them. Here
a call is one signed POST of SQS's JSON protocol, by aiohttp and orjson. Credentials come from the library, which finds
and renews them; every other call stays with its client.

What comes with that: a second try where a connection breaks or the service fails (5xx), a clock that is off is allowed
for by the service's own, and whatever else goes wrong is raised as the library's exceptions, so that nobody else has to
know which way was taken.
"""

import base64
import hashlib
import hmac
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final, Protocol

import aiohttp
import orjson
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError
from yarl import URL

from handlers.ports import Clock

_TARGET: Final = "AmazonSQS."
_CONTENT_TYPE: Final = "application/x-amz-json-1.0"
_READ_BYTES: Final = 1 << 20
"""More than ten messages mostly are: an answer is then read without a pause."""
_TRIES: Final = 2
_SERVER_ERROR: Final = 500
_SKEW_TOLERATED: Final = timedelta(minutes=4)
"""AWS takes five minutes."""
_SKEWED: Final = frozenset({
    "RequestTimeTooSkewed", "RequestExpired", "InvalidSignatureException", "SignatureDoesNotMatch",
    "RequestInTheFuture",
})  # fmt: skip


class Keys(Protocol):
    """One set of credentials (the library's `ReadOnlyCredentials`)."""

    @property
    def access_key(self) -> str | None:
        """Whose it is."""
        ...

    @property
    def secret_key(self) -> str | None:
        """What signs."""
        ...

    @property
    def token(self) -> str | None:
        """The session's, for those that expire."""
        ...


class Credentials(Protocol):
    """Where they come from, renewed when they are about to expire (the library's)."""

    async def get_frozen_credentials(self) -> Keys:
        """Those that hold now."""
        ...


FindCredentials = Callable[[], Awaitable[Credentials | None]]


class Signer:
    """Signs requests to one service in one region (AWS Signature Version 4). The day's key is kept."""

    def __init__(self, *, region: str, service: str) -> None:
        self._region = region
        self._service = service
        self._day: tuple[str, str] | None = None
        self._key = b""

    def headers(self, *, host: str, target: str, body: bytes, keys: Keys, at: datetime) -> dict[str, str]:
        """The headers of a POST to `/`, its signature among them."""
        stamp = at.strftime("%Y%m%dT%H%M%SZ")
        headers = {"content-type": _CONTENT_TYPE, "host": host, "x-amz-date": stamp}
        if keys.token:
            headers["x-amz-security-token"] = keys.token
        headers["x-amz-target"] = target
        names = ";".join(headers)
        lines = "\n".join(f"{name}:{value}" for name, value in headers.items())
        request = f"POST\n/\n\n{lines}\n\n{names}\n{hashlib.sha256(body).hexdigest()}"
        scope = f"{stamp[:8]}/{self._region}/{self._service}/aws4_request"
        to_sign = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
        signature = hmac.new(
            self._key_of(stamp[:8], keys.secret_key or ""), to_sign.encode(), hashlib.sha256
        ).hexdigest()
        headers["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={keys.access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
        )
        return headers

    def _key_of(self, day: str, secret: str) -> bytes:
        if self._day != (day, secret):
            key = b"AWS4" + secret.encode()
            for part in (day, self._region, self._service, "aws4_request"):
                key = hmac.new(key, part.encode(), hashlib.sha256).digest()
            self._day, self._key = (day, secret), key
        return self._key


class LeanSqs:
    """The three calls, by the names and with the parameters and answers of the library's client."""

    def __init__(
        self, *, http: aiohttp.ClientSession, url: str, region: str, find_credentials: FindCredentials, clock: Clock
    ) -> None:
        """`url` is the service's; the session stays its owner's."""
        self._http = http
        self._url = URL(url).with_path("/")
        self._host = self._url.host_port_subcomponent or ""
        self._signer = Signer(region=region, service="sqs")
        self._find_credentials = find_credentials
        self._credentials: Credentials | None = None
        self._clock = clock
        self._skew = timedelta()

    async def receive_message(self, **parameters: Any) -> Mapping[str, Any]:
        """Messages as SQS gives them."""
        answer = await self._call("ReceiveMessage", parameters)
        for message in answer.get("Messages") or ():
            for attribute in (message.get("MessageAttributes") or {}).values():
                if "BinaryValue" in attribute:
                    attribute["BinaryValue"] = base64.b64decode(attribute["BinaryValue"])
        return answer

    async def delete_message_batch(self, *, QueueUrl: str, Entries: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:  # noqa: N803 - SQS's names
        """What failed of it, by entry."""
        return await self._call("DeleteMessageBatch", {"QueueUrl": QueueUrl, "Entries": Entries})

    async def change_message_visibility_batch(
        self,
        *,
        QueueUrl: str,  # noqa: N803 - SQS's names
        Entries: Sequence[Mapping[str, Any]],  # noqa: N803 - SQS's names
    ) -> Mapping[str, Any]:
        """What failed of it, by entry."""
        return await self._call("ChangeMessageVisibilityBatch", {"QueueUrl": QueueUrl, "Entries": Entries})

    async def _call(self, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        body = orjson.dumps(parameters)
        for tries_left in reversed(range(_TRIES)):
            try:
                status, headers, content = await self._post(operation, body)
            except (aiohttp.ClientError, TimeoutError) as error:
                if tries_left and isinstance(error, aiohttp.ClientOSError | aiohttp.ServerDisconnectedError):
                    continue
                raise EndpointConnectionError(endpoint_url=str(self._url), error=error) from error
            if status < 300:
                return _json(content, operation)
            again = status >= _SERVER_ERROR or self._learns_skew(content, headers)
            if not (tries_left and again):
                raise _error(status, headers, content, operation)
        raise AssertionError("the last try returns or raises")

    async def _post(self, operation: str, body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        if self._credentials is None:
            self._credentials = await self._find_credentials()
        if self._credentials is None:
            raise NoCredentialsError
        keys = await self._credentials.get_frozen_credentials()
        headers = self._signer.headers(
            host=self._host, target=_TARGET + operation, body=body, keys=keys, at=self._clock.now() + self._skew
        )
        async with self._http.post(self._url, data=body, headers=headers, allow_redirects=False) as response:
            return response.status, response.headers, await response.read()

    def _learns_skew(self, content: bytes, headers: Mapping[str, str]) -> bool:
        """True where our clock was the fault; from now on the service's is gone by."""
        if _code(headers, _parsed(content)) not in _SKEWED or "Date" not in headers:
            return False
        skew = parsedate_to_datetime(headers["Date"]).astimezone(UTC) - self._clock.now()
        learnt = abs(skew - self._skew) > _SKEW_TOLERATED
        self._skew = skew if learnt else self._skew
        return learnt


@asynccontextmanager
async def lean_sqs(
    *,
    url: str,
    region: str,
    find_credentials: FindCredentials,
    clock: Clock,
    read_timeout_s: float,
    connections_max: int,
) -> AsyncIterator[LeanSqs]:
    """One with connections of its own, closed at the end."""
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=3, sock_read=read_timeout_s)
    connector = aiohttp.TCPConnector(limit=connections_max)
    spared = ("Accept-Encoding", "User-Agent", "Accept", "Content-Type")
    async with aiohttp.ClientSession(
        connector=connector,
        timeout=timeout,
        skip_auto_headers=spared,
        cookie_jar=aiohttp.DummyCookieJar(),
        read_bufsize=_READ_BYTES,
    ) as http:
        yield LeanSqs(http=http, url=url, region=region, find_credentials=find_credentials, clock=clock)


def _json(content: bytes, operation: str) -> dict[str, Any]:
    found = _parsed(content)
    if found is None:
        raise _error(200, {}, content, operation)
    return found


def _parsed(content: bytes) -> dict[str, Any] | None:
    try:
        found = orjson.loads(content or b"{}")
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None


def _code(headers: Mapping[str, str], content: Mapping[str, Any] | None) -> str:
    """The error's code: that of the older protocol where it is told, as the library has it."""
    old = headers.get("x-amzn-query-error", "").partition(";")[0]
    return old or str((content or {}).get("__type", "")).rpartition("#")[2]


def _error(status: int, headers: Mapping[str, str], content: bytes, operation: str) -> ClientError:
    """As the library raises it. What is no JSON comes from something between us and SQS, and is the service's fault."""
    found = _parsed(content)
    said = {} if found is None else found
    message = said.get("message") or said.get("Message") or ""
    code = _code(headers, found) or str(status)
    answer: Any = {
        "Error": {"Code": code, "Message": str(message)},
        "ResponseMetadata": {"HTTPStatusCode": status if found is not None else max(status, _SERVER_ERROR)},
    }
    return ClientError(answer, operation)
