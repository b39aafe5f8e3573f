"""How large a message is to AWS: SQS and SNS count alike, and both refuse what is above their limit."""

from collections.abc import Mapping
from typing import Any


def size_bytes(body: str, attributes: Mapping[str, Mapping[str, Any]]) -> int:
    """What AWS counts of a message: the body, and each attribute's name, type and value."""
    size = len(body.encode(errors="surrogatepass"))
    for name, value in attributes.items():
        size += len(name.encode())
        for part in value.values():
            size += len(part if isinstance(part, bytes) else str(part).encode())
    return size
