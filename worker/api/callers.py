"""Callers: who sent a request, by its token, and what they may do."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec import Struct
from starlette.datastructures import Headers

from commands.engines.rollout import UpdateOrigin
from commands.update import Unset, Update
from worker.api.errors import ApiError, Fault
from worker.settings.api_tokens import ApiToken, Role
from worker.settings.verbs.serve import is_loopback

_SCOPE_KEY: Final = "routing_sync.caller"
_FORWARDED: Final = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip")
"""The headers with which a proxy names the client that it speaks for."""


class Caller(Struct, frozen=True, kw_only=True):
    """The sender of a request. `name`: the token's; None: a client on loopback, where there are no tokens.

    `org`: the only org whose documents the caller sees; None: every org.
    """

    name: str | None = None
    role: Role = Role.ROUTER
    org: str | None = None

    def require(self, role: Role) -> None:
        """Raise ApiError if the caller may not do what `role` may."""
        if not self.role.includes(role):
            raise _forbidden(f"the token {self.name} has the role {self.role.value}, this needs {role.value}")

    def origin_of(self, update: Update) -> UpdateOrigin:
        """Whose update this is; raises ApiError if the caller may not send it."""
        decides_routing = not (isinstance(update.routed, Unset) and isinstance(update.accepted, Unset))
        self.require(Role.ROUTER if decides_routing else Role.WRITE)
        if self.name is None:
            return UpdateOrigin.ROUTER if decides_routing else UpdateOrigin.API
        return UpdateOrigin.ROUTER if self.role is Role.ROUTER else UpdateOrigin.API


LOCAL: Final = Caller()
"""The sender of every request where there are no tokens."""


class CallerTable:
    """The callers by their tokens. Every comparison takes the same time, whichever token was sent."""

    def __init__(self, tokens: Sequence[ApiToken]) -> None:
        self._callers = [(token.digest, Caller(name=token.name, role=token.role, org=token.org)) for token in tokens]

    @property
    def local_only(self) -> bool:
        """Whether there are no tokens, so that only loopback is served."""
        return not self._callers

    @property
    def count(self) -> int:
        """How many tokens are known."""
        return len(self._callers)

    def caller(self, headers: Headers, *, passwords: bool) -> Caller | None:
        """The caller that the request's headers name; None: they name none.

        `passwords`: a browser may send the token as the password of basic authentication, with any name. A browser
        sends it by itself, for other sites' pages too, so only reads take it.
        """
        if self.local_only:
            return LOCAL if _is_local(headers) else None
        if len(headers.getlist("authorization")) > 1:
            # Whoever checks before this process may have read the other one.
            return None
        token = _token(headers.get("authorization", ""), passwords=passwords)
        if token is None:
            return None
        digest = hashlib.sha256(token).digest()
        found: Caller | None = None
        for stored, caller in self._callers:
            if hmac.compare_digest(stored, digest):
                found = caller
        return found


def note_caller(scope: dict[str, Any], caller: Caller) -> None:
    """Keep the caller with the request."""
    scope[_SCOPE_KEY] = caller


def caller_of(scope: Mapping[str, Any]) -> Caller:
    """The caller that was kept with the request."""
    caller: Caller = scope[_SCOPE_KEY]
    return caller


def _token(authorization: str, *, passwords: bool) -> bytes | None:
    scheme, _, value = authorization.partition(" ")
    match scheme.lower():
        case "bearer":
            return value.strip().encode("latin-1", "replace") or None
        case "basic" if passwords:
            try:
                return base64.b64decode(value.strip(), validate=True).partition(b":")[2] or None
            except (binascii.Error, ValueError):
                return None
        case _:
            return None


def _is_local(headers: Headers) -> bool:
    """Whether a request to a loopback address comes from this machine, as far as its headers tell.

    A page of another site can reach the address by a name of its own, and a proxy on this machine hands on the requests
    of others.
    """
    host = headers.get("host", "localhost")
    return is_loopback(_without_port(host)) and not any(name in headers for name in _FORWARDED)


def _without_port(host: str) -> str:
    return host[1 : host.index("]")] if host.startswith("[") and "]" in host else host.partition(":")[0]


def _forbidden(detail: str) -> ApiError:
    return ApiError(403, Fault(parameter="header", detail=detail))
