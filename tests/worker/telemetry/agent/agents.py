"""Agents: sockets that receive what the worker's metrics send, over UDP or a Unix socket."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from worker.telemetry.agent.address import UdpAddress, UnixAddress
from worker.telemetry.agent.packet_socket import AgentSocket, SocketTarget, unix_targets


@contextmanager
def udp_agent(port: int = 0) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as agent:
        agent.bind(("127.0.0.1", port))
        agent.settimeout(5)
        yield agent


@contextmanager
def unix_agent(path: Path, kind: socket.SocketKind = socket.SOCK_DGRAM) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, kind) as agent:
        agent.bind(str(path))
        agent.settimeout(5)
        if kind is socket.SOCK_STREAM:
            agent.listen()
        yield agent


def port_of(agent: socket.socket) -> int:
    port: int = agent.getsockname()[1]
    return port


def free_port() -> int:
    with udp_agent() as agent:
        return port_of(agent)


def target(port: int) -> SocketTarget:
    return SocketTarget(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", port))


def to_udp(port: int) -> AgentSocket:
    """A socket that sends to that port of this machine."""
    made = AgentSocket(UdpAddress(host="127.0.0.1", port=port))
    made.use([target(port)])
    return made


def to_unix(path: Path) -> AgentSocket:
    """A socket that sends to that path."""
    address = UnixAddress(path=str(path))
    made = AgentSocket(address)
    made.use(unix_targets(address))
    return made


def received(agent: socket.socket, count: int) -> list[str]:
    """So many lines, sorted."""
    lines: list[str] = []
    while len(lines) < count:
        lines.extend(agent.recv(65_535).decode().splitlines())
    return sorted(lines)
