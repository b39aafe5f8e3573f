"""AWS credentials: AWS's library finds and renews them, and every failure of that comes out in one form.

| the library's failure | the error here | at start |
|---|---|---|
| a token file that is not there; a credential agent or program that fails | `CredentialsAway` | wait |
| STS, SSO or an agent is unreachable, overloaded, answers 5xx or nothing readable | `CredentialsAway` | wait |
| no source of credentials; a wrong profile; no program of the `credential_process` | `CredentialsRefused` | end |
| STS refuses the identity; an SSO login that expired or never was | `CredentialsRefused` | end |

While the worker runs both are the service being away: the credentials may be mended outside at any time, and the
messages in flight must not pay for it. No such failure looks like an answer of SQS or SNS, whose errors are
`ClientError`, as STS's errors are.

All clients share one set of credentials. Keys that are valid for another minute are used, however often their renewal
fails meanwhile. Keys that AWS refuses are looked for anew: a file may hold others by now.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from aiobotocore.credentials import AioCredentials
from botocore.credentials import ReadOnlyCredentials, RefreshableCredentials
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    LoginError,
    NoCredentialsError,
    SSOError,
    TokenRetrievalError,
)
from botocore.parsers import ResponseParserError

from handlers.ports import Clock
from worker.aws.errors import CredentialsAway, CredentialsRefused, error_code, is_overloaded, needs_operator
from worker.errors import first_line

_VALID_S_MIN: Final = 60
"""Keys that expire within so many seconds are not used."""
_RENEWAL_PAUSE_S: Final = 30.0
"""Between two renewals of keys that are still valid."""
_ANSWER_S_MAX: Final = 30.0
"""A caller waits at most so long for a renewal."""
_STS_MAY_ANSWER_LATER: Final = frozenset({"ExpiredTokenException", "IDPCommunicationError"})
"""STS cannot reach the identity provider; or the token in the file has expired and is about to be replaced."""
_UNREADABLE: Final = (
    AssertionError, AttributeError, EOFError, LookupError, OverflowError, RecursionError, RuntimeError, TypeError,
    ValueError,
)  # fmt: skip
"""The library's exceptions for a source that answers in another shape. `RuntimeError`: it renewed keys with expired
ones."""


class SharedCredentials(AioCredentials):
    """The credentials of all clients of a session, in the library's form.

    One renewal runs at a time, as a task of its own. Every caller that needs its result waits for it, and gets the same
    keys or the same error.
    """

    def __init__(
        self,
        load: Callable[[], Awaitable[Any]],
        *,
        token_files: Callable[[], set[str]],
        clock: Clock,
        answer_s_max: float = _ANSWER_S_MAX,
    ) -> None:
        super().__init__("", "", method="shared")
        self._load = load
        self._token_files = token_files
        self._clock = clock
        self._answer_s_max = answer_s_max
        self._source: Any = None
        self._keys: ReadOnlyCredentials | None = None
        self._renewal: asyncio.Task[ReadOnlyCredentials] | None = None
        self._renewed_at = -_RENEWAL_PAUSE_S

    async def get_frozen_credentials(self) -> ReadOnlyCredentials:  # type: ignore[override]  # as in the library
        """The keys that are valid now. Raises CredentialsAway."""
        keys = self._keys
        if keys is not None and not self._expires(None):
            return keys
        if keys is not None and not self._expires(_VALID_S_MIN):
            if self._clock.monotonic() - self._renewed_at >= _RENEWAL_PAUSE_S:
                self._running_renewal()
            return keys
        try:
            async with asyncio.timeout(self._answer_s_max):
                return await asyncio.shield(self._running_renewal())
        except TimeoutError as error:
            raise CredentialsAway(reason=f"no answer of their source within {self._answer_s_max:g} s") from error

    def discard(self, access_key: str | None) -> None:
        """Forget the keys, which AWS has refused: the next caller looks for others, from the start.

        The refusal of a call that was signed before a renewal says nothing about the keys held now. They stay.
        """
        if self._keys is not None and self._keys.access_key == access_key:
            self._keys = None
            self._source = None

    async def close(self) -> None:
        """End a renewal that is under way."""
        renewal = self._renewal
        if renewal is not None:
            renewal.cancel()
            with suppress(asyncio.CancelledError, CredentialsAway):
                await renewal

    def _expires(self, within_s: int | None) -> bool:
        """Whether the keys expire within so many seconds; None: whether botocore would renew them."""
        return isinstance(self._source, RefreshableCredentials) and self._source.refresh_needed(within_s)

    def _running_renewal(self) -> "asyncio.Task[ReadOnlyCredentials]":
        if self._renewal is None:
            self._renewed_at = self._clock.monotonic()
            self._renewal = asyncio.create_task(self._renew())
            self._renewal.add_done_callback(self._end_renewal)
        return self._renewal

    def _end_renewal(self, renewal: "asyncio.Task[ReadOnlyCredentials]") -> None:
        self._renewal = None
        if not renewal.cancelled():
            # While the keys are valid nobody waits for the error. The library has logged it.
            renewal.exception()

    async def _renew(self) -> ReadOnlyCredentials:
        with _translated_failures(self._token_files):
            source = self._source or await self._load()
            if source is None:
                raise NoCredentialsError
            keys: ReadOnlyCredentials = await source.get_frozen_credentials()
        _check_keys(keys)
        # Together: the source tells when these keys expire. Both may have been discarded meanwhile.
        self._source, self._keys = source, keys
        return keys


def _check_keys(keys: Any) -> None:
    """Raise CredentialsAway for keys that no request can be signed with; a line break would break its headers."""
    parts = {"access key": keys.access_key, "secret key": keys.secret_key}
    if keys.token is not None:
        parts["session token"] = keys.token
    for name, value in parts.items():
        if not isinstance(value, str) or not value:
            raise CredentialsAway(reason=f"their source gives no {name}")
        if any(character.isspace() or not character.isprintable() for character in value):
            raise CredentialsAway(reason=f"the {name} has a blank or a line break in it")


@contextmanager
def _translated_failures(token_files: Callable[[], set[str]]) -> Iterator[None]:
    try:
        yield
    except CredentialsAway:
        raise
    except ClientError as error:
        raise _refused_or_away(error) from error
    except OSError as error:
        raise _file_error(error, token_files()) from error
    except (BotoCoreError, ResponseParserError, *_UNREADABLE) as error:
        raise _library_error(error) from error


def _refused_or_away(error: ClientError) -> CredentialsAway:
    """The error answer of STS, SSO or another source."""
    code = error_code(error)
    line = f"{error.operation_name}: {code}: {error.response.get('Error', {}).get('Message', '')}"
    if is_overloaded(error) or code in _STS_MAY_ANSWER_LATER:
        return CredentialsAway(reason=line)
    return CredentialsRefused(reason=f"{line}: check the role, whom it trusts, and the AWS_… variables that name it")


def _file_error(error: OSError, token_files: set[str]) -> CredentialsAway:
    reason = f"{error.filename}: {error.strerror}" if error.filename else first_line(error)
    program_missing = isinstance(error, FileNotFoundError | PermissionError) and error.filename not in token_files
    if program_missing and error.filename:
        return CredentialsRefused(reason=f"{reason}: check credential_process of the AWS profile")
    return CredentialsAway(reason=reason)


def _library_error(error: Exception) -> CredentialsAway:
    reason = first_line(error)
    if isinstance(error, NoCredentialsError):
        return CredentialsRefused(
            reason="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the task a role "
            "(the metadata service of the instance gave none)"
        )
    if isinstance(error, SSOError | LoginError | TokenRetrievalError):
        return CredentialsRefused(reason=f"{reason}: log in with the AWS command line, or use a role")
    if isinstance(error, BotoCoreError):
        if needs_operator(error):
            return CredentialsRefused(reason=f"{reason}: check the AWS profile and the AWS_… variables")
        return CredentialsAway(reason=reason)
    if type(error) is ValueError:
        # The library checks addresses, header values and command lines so; what a source answers fails otherwise.
        return CredentialsRefused(reason=f"{reason}: check the AWS profile and the AWS_… variables")
    return CredentialsAway(reason=f"their source's answer is not readable: {type(error).__name__}: {reason}")
