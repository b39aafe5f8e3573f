"""How large a message is to AWS: SQS and SNS count alike, and both refuse what is above their limit."""

from collections.abc import Mapping
from typing import Any


def size_bytes(body: str, attributes: Mapping[str, Mapping[str, Any]]) -> int:
    """What AWS counts of a message: the body, and each attribute's name, type and value."""
    return len(body.encode(errors="surrogatepass")) + sum(
        len(name.encode())
        + sum(len(part if isinstance(part, bytes) else str(part).encode()) for part in value.values())
        for name, value in attributes.items()
    )
