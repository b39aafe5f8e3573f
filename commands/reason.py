"""Why something was written or was not: the one shape in which every reason travels.

Left out: prose. Codes are stable and searched for; what they mean stands in the docs.
"""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field


class Reason(Struct, frozen=True, kw_only=True):
    """`{action, code, meta}` as in an event's `routingReasons` and in the audit record (domain.md, *Reason codes*)."""

    action: str
    code: str
    meta: Mapping[str, Any] = field(default_factory=dict)

    def as_wire(self) -> dict[str, Any]:
        """The JSON shape of the event and of the audit record."""
        return {"action": self.action, "code": self.code, "meta": dict(self.meta)}
