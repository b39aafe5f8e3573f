"""The port of what the workers of one deployment agree on. Every call may be repeated."""

from datetime import datetime
from typing import Protocol

from msgspec import Struct


class Deployment(Struct, frozen=True, kw_only=True):
    """What a worker runs: DD_VERSION, and SYNC_POLICY."""

    version: str
    policy: str


class Fleet(Protocol):
    """What the workers of one deployment agree on. All times are the database's: no worker's clock is trusted."""

    async def acquire_lease(self, name: str, holder: str, seconds: float) -> bool:
        """Whether `holder` has the lease for the next `seconds`. The holder prolongs its lease by asking again. Another
        holder gets it once it has expired."""
        ...

    async def started_at(self) -> datetime:
        """The time at which the first worker of the deployment started: the first call stores it, and every call
        returns it."""
        ...

    async def replace_deployment(self, deployment: Deployment) -> Deployment | None:
        """Store what the calling worker runs; returns what the worker ran that started before it. None: none did."""
        ...
