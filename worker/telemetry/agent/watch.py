"""The tasks beside the Datadog agent's socket: one looks the agent's name up, the other reports lost packets.

The name is looked up again and again, because an agent moves, and because no name server may answer at the start. An
address that was found stays in use while no name server answers. The loop's threads look it up
(worker/runtime/lookup_threads.py), so a slow name server delays neither the event loop nor the end of the process.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from handlers.ports import Clock
from worker.telemetry.agent.address import UdpAddress
from worker.telemetry.agent.packet_socket import AgentSocket, SocketTarget
from worker.telemetry.logs import Log

LOOK_UP_S: Final = 30.0
"""Interval of the look-ups."""
LOOK_UP_AGAIN_S: Final = 5.0
"""The same while the name has no address, or packets are lost."""
REPORT_S: Final = 60.0
"""Shortest time between two lines about lost packets."""
BACK_S: Final = 10.0
"""Time without a lost packet after which the agent counts as back."""
_CHECK_S: Final = 1.0

LookUp = Callable[[str, int], Awaitable[Sequence[SocketTarget]]]
"""The addresses of a host and a UDP port. Raises OSError."""


class AgentLookUp:
    """Keeps the socket's targets equal to the addresses of the agent's name."""

    def __init__(self, *, address: UdpAddress, agent_socket: AgentSocket, clock: Clock, look_up: LookUp) -> None:
        self._address = address
        self._socket = agent_socket
        self._clock = clock
        self._look_up = look_up

    async def run(self) -> None:
        """Look up until cancelled; an IP address once."""
        lost_before = 0
        while True:
            found = await self._found()
            if found and self._address.numeric:
                return
            lost = self._socket.lost
            await self._clock.sleep(LOOK_UP_S if found and lost == lost_before else LOOK_UP_AGAIN_S)
            lost_before = lost

    async def _found(self) -> bool:
        """Returns whether the name has an address."""
        try:
            targets = await self._look_up(self._address.host, self._address.port)
        except OSError as error:
            self._socket.reason = f"its name cannot be looked up: {error.strerror or error}"
            return False
        self._socket.use(targets)
        return True


class AgentReport:
    """Writes a line when the agent takes no metrics, then at most one a minute, and one when it takes them again."""

    def __init__(self, *, agent_socket: AgentSocket, clock: Clock, log: Log) -> None:
        self._socket = agent_socket
        self._clock = clock
        self._log = log
        self._counts = (0, 0)
        self._quiet_since: float | None = None
        self._lost_reported = 0
        self._reported_at: float | None = None
        self._away_since: float | None = None
        self._lost_before = 0

    async def run(self) -> None:
        """Look at the socket's counts once a second until cancelled."""
        while True:
            await self._clock.sleep(_CHECK_S)
            self.check()

    def check(self) -> None:
        """Compare the counts with those of the last check, and write the line that is due."""
        now = self._clock.monotonic()
        taken_before, lost_before = self._counts
        taken, lost = self._counts = (self._socket.taken, self._socket.lost)
        if lost > lost_before:
            self._quiet_since = None
        elif taken > taken_before and self._quiet_since is None:
            self._quiet_since = now
        if self._away_since is not None and self._quiet_since is not None and now - self._quiet_since >= BACK_S:
            self._report_back(lost, self._away_since, now)
        elif lost > self._lost_reported and (self._reported_at is None or now - self._reported_at >= REPORT_S):
            self._report_lost(lost, now)

    def _report_lost(self, lost: int, now: float) -> None:
        if self._socket.reason is None:
            # The first look-up is still under way.
            return
        if self._away_since is None:
            self._away_since, self._lost_before = now, self._lost_reported
        packets_lost = lost - self._lost_reported
        self._lost_reported, self._reported_at = lost, now
        self._log.warning(
            "the Datadog agent takes no metrics",
            agent=str(self._socket.address),
            reason=self._socket.reason,
            packetsLost=packets_lost,
        )

    def _report_back(self, lost: int, away_since: float, now: float) -> None:
        self._log.info(
            "the Datadog agent takes metrics again",
            agent=str(self._socket.address),
            packetsLost=lost - self._lost_before,
            seconds=round(now - away_since),
        )
        self._away_since, self._lost_reported = None, lost


async def look_up_agent(host: str, port: int) -> Sequence[SocketTarget]:
    """The addresses from the system's resolver, IPv4 first. Raises OSError."""
    try:
        answers: Sequence[Any] = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    except UnicodeError as error:
        raise OSError("it is not a host name") from error
    targets = [SocketTarget(family, socket.SOCK_DGRAM, address) for family, _, _, _, address in answers]
    # As Datadog's own clients: an agent that listens on IPv4 alone may have both kinds of address.
    return sorted(targets, key=lambda target: target.family != socket.AF_INET)
