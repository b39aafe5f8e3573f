"""A call to AWS made without its library: one signed POST by aiohttp, its answer read by whoever knows the protocol.

The library's client spends several times the CPU of the rest of the worker on building, signing and parsing what is
called all the time. Credentials still come from the library, which finds and renews them; every other call stays with
its client.

What comes with that: a second try where a connection breaks or the service fails (5xx), a clock that is off is allowed
for by the service's own, and whatever else goes wrong is raised as the library's exceptions, so that nobody else has to
know which way was taken. Leaves out what one protocol has and another has not: `lean_sqs.py`, `lean_sns.py`.
"""

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final, Generic, Protocol, TypeVar

import aiohttp
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    ProxyConnectionError,
    SSLError,
)
from msgspec import Struct
from yarl import URL

from handlers.ports import Clock
from worker.aws.sigv4 import Credentials, FindCredentials, Signer

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

A = TypeVar("A")
"""An answer as its protocol reads it."""


class ServiceEndpoint(Struct, frozen=True, kw_only=True):
    """A service, and what is needed to call it. The session stays its owner's."""

    service: str
    url: str
    region: str
    http: aiohttp.ClientSession
    find_credentials: FindCredentials
    clock: Clock


class ResponseReader(Protocol[A]):
    """How a protocol's answers are read."""

    def read(self, content: bytes) -> A | None:
        """An answer, good or bad; None for what the service never says."""
        ...

    def fault(self, headers: Mapping[str, str], answer: A) -> tuple[str, str]:
        """A bad answer's code and message, each empty where it is not told."""
        ...


class SignedCalls(Generic[A]):
    """Calls to one service."""

    def __init__(self, place: ServiceEndpoint, reader: ResponseReader[A]) -> None:
        self._place = place
        self._reader = reader
        self._url = URL(place.url).with_path("/")
        self._host = self._url.host_port_subcomponent or ""
        self._signer = Signer(region=place.region, service=place.service)
        self._credentials: Credentials | None = None
        self._skew = timedelta()

    async def call(self, operation: str, body: bytes, headers: Mapping[str, str]) -> A:
        """The answer. Raises what the library would. `headers` have lower-case names."""
        fixed = {**headers, "host": self._host}
        for tries_left in reversed(range(_TRIES)):
            try:
                status, told, content = await self._post(fixed, body)
            except (aiohttp.ClientError, TimeoutError) as error:
                if tries_left and isinstance(error, aiohttp.ClientOSError | aiohttp.ServerDisconnectedError):
                    continue
                raise self._unreachable(error) from error
            answer = self._reader.read(content)
            if status < 300 and answer is not None:
                return answer
            code, message = ("", "") if answer is None else self._reader.fault(told, answer)
            again = status >= _SERVER_ERROR or self._learns_skew(code, told)
            if not (tries_left and again):
                raise _error(status, code, message, operation)
        raise AssertionError("the last try returns or raises")

    async def _post(self, fixed: Mapping[str, str], body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        place = self._place
        if self._credentials is None:
            self._credentials = await place.find_credentials()
        if self._credentials is None:
            raise NoCredentialsError
        keys = await self._credentials.get_frozen_credentials()
        headers = self._signer.headers(fixed, body=body, keys=keys, at=place.clock.now() + self._skew)
        async with place.http.post(self._url, data=body, headers=headers, allow_redirects=False) as response:
            return response.status, response.headers, await response.read()

    def _unreachable(self, error: Exception) -> BotoCoreError:
        """As the library tells it; of a proxy no more than where it is, for its address may hold a password."""
        if isinstance(error, aiohttp.ClientHttpProxyError):
            return ProxyConnectionError(proxy_url=f"{error.request_info.real_url.origin()}: {error.status}")
        if isinstance(error, aiohttp.ClientProxyConnectionError):
            return ProxyConnectionError(proxy_url=f"{error.host}:{error.port}")
        if isinstance(error, aiohttp.ClientSSLError):
            return SSLError(endpoint_url=str(self._url), error=error)
        return EndpointConnectionError(endpoint_url=str(self._url), error=error)

    def _learns_skew(self, code: str, headers: Mapping[str, str]) -> bool:
        """True where our clock was the fault; from now on the service's is gone by."""
        if code not in _SKEWED:
            return False
        try:
            theirs = parsedate_to_datetime(headers.get("Date", ""))
        except ValueError:
            return False
        skew = theirs.astimezone(UTC) - self._place.clock.now()
        learnt = abs(skew - self._skew) > _SKEW_TOLERATED
        self._skew = skew if learnt else self._skew
        return learnt


@asynccontextmanager
async def http_session(
    *, proxy: URL | None, tls: ssl.SSLContext | bool, read_timeout_s: float, connections_max: int
) -> AsyncIterator[aiohttp.ClientSession]:
    """Connections of its own, closed at the end. `tls`: whose certificates are trusted, True for the system's."""
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=3, sock_read=read_timeout_s)
    connector = aiohttp.TCPConnector(limit=connections_max, ssl=tls)
    spared = ("Accept-Encoding", "User-Agent", "Accept", "Content-Type")
    async with aiohttp.ClientSession(
        connector=connector,
        timeout=timeout,
        proxy=proxy,
        skip_auto_headers=spared,
        cookie_jar=aiohttp.DummyCookieJar(),
        read_bufsize=_READ_BYTES,
    ) as http:
        yield http


def _error(status: int, code: str, message: str, operation: str) -> ClientError:
    """As the library raises it. What tells no code comes from between us and AWS, and is the service's fault."""
    answer: Any = {
        "Error": {"Code": code or str(status), "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status if code else max(status, _SERVER_ERROR)},
    }
    return ClientError(answer, operation)
