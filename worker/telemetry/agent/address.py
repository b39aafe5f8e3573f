"""The Datadog agent's address as its users write it: a host and a UDP port, or the path of a Unix socket."""

from ipaddress import ip_address
from typing import Final, Literal
from urllib.parse import urlsplit

from msgspec import Struct

DEFAULT_PORT: Final = 8125
_UNIX_KINDS: Final[dict[str, Literal["datagram", "stream", "any"]]] = {
    "unix": "any", "unixgram": "datagram", "unixstream": "stream",
}  # fmt: skip


class UdpAddress(Struct, frozen=True, kw_only=True):
    """A UDP port of a host. `host` is a name or an IP address."""

    host: str
    port: int

    @property
    def numeric(self) -> bool:
        """Whether `host` is an IP address, which needs no look-up."""
        try:
            ip_address(self.host)
        except ValueError:
            return False
        return True

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class UnixAddress(Struct, frozen=True, kw_only=True):
    """A Unix socket. `kind` is its type; `any`: whichever of the two the agent has opened."""

    path: str
    kind: Literal["datagram", "stream", "any"] = "any"

    def __str__(self) -> str:
        return self.path


AgentAddress = UdpAddress | UnixAddress


def parse_agent_address(text: str, *, port: int = DEFAULT_PORT) -> AgentAddress:
    """The address that `HOST`, `udp://HOST:PORT` or `unix:///PATH` names; `port` stands where the text has none.

    `unix`, `unixgram` and `unixstream` are the schemes of Datadog's own clients. Raises ValueError with the fault.
    """
    scheme, separator, rest = text.partition("://")
    if not separator:
        address = UdpAddress(host=text, port=port)
        if ":" in text and not address.numeric:
            raise ValueError("it names more than a host")
        return address
    if scheme in _UNIX_KINDS:
        if not rest.startswith("/"):
            raise ValueError("the path of the socket does not begin with /")
        return UnixAddress(path=rest, kind=_UNIX_KINDS[scheme])
    if scheme != "udp":
        raise ValueError("it has neither the scheme udp nor unix")
    try:
        parts = urlsplit(text)
        host, named_port = parts.hostname, parts.port
    except ValueError:
        raise ValueError("it has no valid host and port") from None
    if not host or named_port == 0:
        raise ValueError("it has no valid host and port")
    return UdpAddress(host=host, port=named_port or port)
