"""Whether the Datadog agent can be reached, as far as that can be told without sending it a metric.

A Unix socket says whether it is there. UDP has no answer: only a closed port on a reachable host is reported.
"""

import asyncio
import socket
from collections.abc import Sequence
from typing import Final

from worker.telemetry.agent.address import AgentAddress, UnixAddress
from worker.telemetry.agent.packet_socket import SocketTarget, unix_targets
from worker.telemetry.agent.watch import look_up_agent

_REPORT_S: Final = 0.3
"""A host reports a closed port within a round trip."""


async def agent_fault(address: AgentAddress) -> str | None:
    """Why the agent takes no metrics; None: nothing says that it does not."""
    if isinstance(address, UnixAddress):
        return _first_fault([_unix_fault(target) for target in unix_targets(address)])
    try:
        targets = await look_up_agent(address.host, address.port)
    except OSError as error:
        return f"its name cannot be looked up: {error.strerror or error}"
    return _first_fault([await _udp_fault(target) for target in targets])


def _first_fault(faults: Sequence[str | None]) -> str | None:
    """None if one of the ways works."""
    return None if None in faults else next(iter(faults), "its name has no address")


def _unix_fault(target: SocketTarget) -> str | None:
    with socket.socket(target.family, target.type) as probe:
        probe.setblocking(False)
        try:
            probe.connect(target.address)
        except OSError as error:
            return error.strerror or str(error)
    return None


async def _udp_fault(target: SocketTarget) -> str | None:
    """Send an empty datagram, which agents ignore, and wait for the report of a closed port."""
    with socket.socket(target.family, target.type) as probe:
        probe.setblocking(False)
        try:
            probe.connect(target.address)
            probe.send(b"")
            async with asyncio.timeout(_REPORT_S):
                await asyncio.get_running_loop().sock_recv(probe, 1)
        except TimeoutError:
            return None
        except OSError as error:
            return error.strerror or str(error)
    return None
