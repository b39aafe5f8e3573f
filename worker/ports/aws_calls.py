"""What the ports of SQS and SNS share: the endpoint, the results of a batch call, a message's size, FIFO names.

A batch call does not raise for a single bad entry: it returns one result per entry, in the order of the entries.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct


class AwsEndpoint(Struct, frozen=True, kw_only=True):
    """The address of an AWS service. `url` None means AWS itself; LocalStack and moto have an address of their own."""

    region: str
    url: str | None = None


class RefusedEntry(Struct, frozen=True, kw_only=True):
    """One entry that AWS refused. `final` means that AWS will refuse the same entry at every later try."""

    code: str
    reason: str
    final: bool


EntryResults = Sequence[RefusedEntry | None]
"""One result per entry, in the order of the entries; None means that AWS took the entry."""


def size_bytes(body: str, attributes: Mapping[str, Mapping[str, Any]]) -> int:
    """The size of a message as AWS counts it: the body, and the name, type and value of each attribute."""
    size = len(body.encode(errors="surrogatepass"))
    for name, value in attributes.items():
        size += len(name.encode())
        for part in value.values():
            size += len(part if isinstance(part, bytes) else str(part).encode())
    return size


def is_fifo(arn: str) -> bool:
    """Whether the topic or queue keeps the order of each message group."""
    return arn.endswith(".fifo")
