"""The tokens of the API's clients: the setting `API_TOKENS`.

A token is a long random text that only its client holds. The setting has its SHA-256 digest, so reading the setting
gives nobody a token. One digest is enough for a random text of 128 bits or more: there is nothing to guess.
"""

import re
from enum import StrEnum
from typing import Final

from msgspec import Struct

FORM: Final = "NAME:ROLE:SHA256, or NAME:ROLE:SHA256:ORG"
_NAME: Final = re.compile(r"[\w.-]{1,64}", re.ASCII)
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_ORG: Final = re.compile(r"[\w.-]{1,256}", re.ASCII)


class Role(StrEnum):
    """What a client may do; each role may do what the ones before it may.

    | role | may |
    |---|---|
    | `read` | read documents, figures and pages |
    | `write` | update work-items, but for `routed` and `accepted`; its updates count as the API's |
    | `router` | update work-items; its updates count as the router's |
    """

    READ = "read"
    WRITE = "write"
    ROUTER = "router"

    def includes(self, other: "Role") -> bool:
        """Whether a client of this role may do what one of `other` may."""
        roles = list(Role)
        return roles.index(self) >= roles.index(other)


class ApiToken(Struct, frozen=True, kw_only=True):
    """One client's token. `digest`: the token's SHA-256. `org`: the only org whose documents the client sees; None:
    every org."""

    name: str
    role: Role
    digest: bytes
    org: str | None = None


def parse_api_tokens(text: str) -> tuple[ApiToken, ...]:
    """The tokens of a setting, separated by commas. Raises ValueError, whose message repeats no digest."""
    tokens = tuple(_token(number, part.strip()) for number, part in enumerate(text.split(","), 1) if part.strip())
    names = [token.name for token in tokens]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f"it names {', '.join(repeated)} more than once")
    if len({token.digest for token in tokens}) < len(tokens):
        raise ValueError("it has one digest under two names")
    return tokens


def _token(number: int, text: str) -> ApiToken:
    parts = text.split(":")
    if len(parts) not in (3, 4) or not _NAME.fullmatch(parts[0]):
        raise ValueError(f"its token {number} is not of the form {FORM}")
    name, role, digest, *rest = parts
    if role not in set(Role):
        raise ValueError(f"its token {name} has no role: {', '.join(Role)}")
    if not _DIGEST.fullmatch(digest.lower()):
        raise ValueError(f"its token {name} has no SHA-256 digest of 64 hexadecimal digits")
    if rest and not _ORG.fullmatch(rest[0]):
        raise ValueError(f"its token {name} has an org that is no id")
    return ApiToken(name=name, role=Role(role), digest=bytes.fromhex(digest), org=rest[0] if rest else None)
