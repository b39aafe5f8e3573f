"""Signed calls to AWS without its library: one POST by aiohttp, whose response the protocol's reader reads.

AWS's client spends several times the CPU of the rest of the worker on the calls that each message needs
(docs/benchmarks.md). Those calls are made here. AWS's client makes all other calls, and finds and renews the
credentials. worker/aws/sqs/http_transport.py and worker/aws/sns/http_transport.py hold the two protocols.

A call behaves like a call of AWS's client:
- It is sent a second time after a broken connection and after a status 5xx.
- If AWS refuses the timestamp, the difference to AWS's clock is kept and the call is signed anew.
- Errors are botocore's exceptions, so that callers need not know the transport.
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
    ProxyConnectionError,
    SSLError,
)
from msgspec import Struct
from yarl import URL

from handlers.ports import Clock
from worker.aws.errors import KEYS_REFUSED
from worker.aws.sigv4 import AccessKeys, CredentialSource, FindCredentials, Signer

_CONNECT_TIMEOUT_S: Final = 3
_READ_BUFFER_BYTES: Final = 1 << 20
"""Ten messages fit, so that a whole response is read without a pause."""
_TRIES: Final = 2
_SERVER_ERROR: Final = 500
_CLOCK_SKEW_MAX: Final = timedelta(minutes=4)
"""AWS accepts a timestamp up to five minutes off."""
_CLOCK_SKEW_CODES: Final = frozenset({
    "RequestTimeTooSkewed", "RequestExpired", "InvalidSignatureException", "SignatureDoesNotMatch",
    "RequestInTheFuture",
})  # fmt: skip

A = TypeVar("A")
"""The type that a reader makes of a response."""


class ServiceEndpoint(Struct, frozen=True, kw_only=True):
    """A service and the means to call it. The HTTP session's owner closes it."""

    service: str
    url: str
    region: str
    http: aiohttp.ClientSession
    find_credentials: FindCredentials
    clock: Clock


class ResponseReader(Protocol[A]):
    """Reads the responses of one protocol."""

    def read(self, headers: Mapping[str, str], content: bytes) -> A | None:
        """The response, successful or an error; None if the service never sends such content."""
        ...

    def error(self, headers: Mapping[str, str], response: A) -> tuple[str, str]:
        """The code and the message of an error response; a missing part is empty."""
        ...


class SignedCalls(Generic[A]):
    """Calls to one service."""

    def __init__(self, endpoint: ServiceEndpoint, reader: ResponseReader[A]) -> None:
        self._endpoint = endpoint
        self._reader = reader
        self._url = URL(endpoint.url).with_path("/")
        self._host = self._url.host_port_subcomponent or ""
        self._signer = Signer(region=endpoint.region, service=endpoint.service)
        self._credentials: CredentialSource | None = None
        self._clock_skew = timedelta()

    async def call(self, operation: str, body: bytes, headers: Mapping[str, str]) -> A:
        """Make the call; returns the response. `headers` have lower-case names. Raises botocore's exceptions."""
        fixed = {**headers, "host": self._host}
        for tries_left in reversed(range(_TRIES)):
            try:
                keys = await self._keys()
                status, response_headers, content = await self._post(fixed, body, keys)
            except (aiohttp.ClientError, TimeoutError) as error:
                if tries_left and isinstance(error, aiohttp.ClientOSError | aiohttp.ServerDisconnectedError):
                    continue
                raise self._unreachable(error) from error
            response = self._reader.read(response_headers, content)
            if status < 300 and response is not None:
                return response
            code, message = ("", "") if response is None else self._reader.error(response_headers, response)
            again = status >= _SERVER_ERROR or self._learns_clock_skew(code, response_headers)
            if code in KEYS_REFUSED and self._credentials is not None:
                self._credentials.discard(keys.access_key)
            if not (tries_left and again):
                raise _client_error(status, code, message, operation)
        raise AssertionError("the last try returns or raises")

    async def _keys(self) -> AccessKeys:
        if self._credentials is None:
            self._credentials = await self._endpoint.find_credentials()
        return await self._credentials.get_frozen_credentials()

    async def _post(
        self, fixed: Mapping[str, str], body: bytes, keys: AccessKeys
    ) -> tuple[int, Mapping[str, str], bytes]:
        endpoint = self._endpoint
        headers = self._signer.headers(fixed, body=body, keys=keys, at=endpoint.clock.now() + self._clock_skew)
        async with endpoint.http.post(self._url, data=body, headers=headers, allow_redirects=False) as response:
            return response.status, response.headers, await response.read()

    def _unreachable(self, error: Exception) -> BotoCoreError:
        """Botocore's exception for it. A proxy is named by host and port only: its address may hold a password."""
        if isinstance(error, aiohttp.ClientHttpProxyError):
            return ProxyConnectionError(proxy_url=f"{error.request_info.real_url.origin()}: {error.status}")
        if isinstance(error, aiohttp.ClientProxyConnectionError):
            return ProxyConnectionError(proxy_url=f"{error.host}:{error.port}")
        if isinstance(error, aiohttp.ClientSSLError):
            return SSLError(endpoint_url=str(self._url), error=error)
        return EndpointConnectionError(endpoint_url=str(self._url), error=error)

    def _learns_clock_skew(self, code: str, headers: Mapping[str, str]) -> bool:
        """Whether this machine's clock caused the error. If so, later calls are signed with AWS's time."""
        if code not in _CLOCK_SKEW_CODES:
            return False
        try:
            aws_time = parsedate_to_datetime(headers.get("Date", ""))
        except ValueError:
            return False
        skew = aws_time.astimezone(UTC) - self._endpoint.clock.now()
        learnt = abs(skew - self._clock_skew) > _CLOCK_SKEW_MAX
        self._clock_skew = skew if learnt else self._clock_skew
        return learnt


@asynccontextmanager
async def http_session(
    *, proxy: URL | None, tls: ssl.SSLContext | bool, read_timeout_s: float, connections_max: int
) -> AsyncIterator[aiohttp.ClientSession]:
    """A session with a connection pool of its own, closed at the end.

    `tls` holds the trusted certificates; True means the system's.
    """
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_TIMEOUT_S, sock_read=read_timeout_s)
    connector = aiohttp.TCPConnector(limit=connections_max, ssl=tls)
    async with aiohttp.ClientSession(
        connector=connector,
        timeout=timeout,
        proxy=proxy,
        skip_auto_headers=("Accept-Encoding", "User-Agent", "Accept", "Content-Type"),
        cookie_jar=aiohttp.DummyCookieJar(),
        read_bufsize=_READ_BUFFER_BYTES,
    ) as http:
        yield http


def _client_error(status: int, code: str, message: str, operation: str) -> ClientError:
    """Botocore's exception for an error response. A response without a code, a proxy's, counts as a server error."""
    response: Any = {
        "Error": {"Code": code or str(status), "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status if code else max(status, _SERVER_ERROR)},
    }
    return ClientError(response, operation)
