"""The socket to the Datadog agent: takes packets of metrics, and counts those that the agent does not take.

A send never waits and never raises. The Datadog client calls it in the event loop and in a thread of its own, one call
at a time. `use` is called in the event loop.
"""

import errno
import os
import socket
import struct
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from worker.telemetry.agent.address import AgentAddress, UdpAddress, UnixAddress

_DROPPED: Final = frozenset({errno.EAGAIN, errno.ENOBUFS, errno.EMSGSIZE})
"""Errors of a packet that leave the connection as it is: the agent does not read, or the packet is too large."""
_UNIX_TYPES: Final = {
    "datagram": (socket.SOCK_DGRAM,),
    "stream": (socket.SOCK_STREAM,),
    "any": (socket.SOCK_DGRAM, socket.SOCK_STREAM),
}


class SocketTarget(Struct, frozen=True):
    """The arguments of one way to connect: of `socket.socket`, and of `connect`."""

    family: socket.AddressFamily
    type: socket.SocketKind
    address: str | tuple[str | int, ...]


def unix_targets(address: UnixAddress) -> Sequence[SocketTarget]:
    """The ways to connect to a Unix socket."""
    return [SocketTarget(socket.AF_UNIX, kind, address.path) for kind in _UNIX_TYPES[address.kind]]


class AgentSocket:
    """The connection to `address`. It has no target until `use` names one, and loses each packet meanwhile.

    `taken` and `lost` count packets. A packet over UDP counts as taken where no host has reported it as undeliverable.
    `reason` says why the last packet was lost.
    """

    def __init__(self, address: AgentAddress) -> None:
        self.address = address
        self.taken = 0
        self.lost = 0
        self.reason: str | None = None
        self._targets: Sequence[SocketTarget] = ()
        self._connected: tuple[socket.socket, SocketTarget] | None = None
        self._udp = isinstance(address, UdpAddress)

    def use(self, targets: Sequence[SocketTarget]) -> None:
        """Send to the first of `targets` that works. The present connection stays if it is one of them."""
        self._targets = targets

    def send(self, packet: bytes) -> None:
        """Send one packet, or count it as lost."""
        if not self._targets:
            self.lost += 1
            return
        was_connected = self._connected is not None
        try:
            self._send(packet)
        except ConnectionRefusedError as refused:
            if self._udp:
                # The answer to the packet before: this one is sent all the same, for the agent may be back.
                self._lose(refused)
            if self._udp or was_connected:
                self._try_again(packet)
            else:
                self._lose(refused)
        except OSError as error:
            if was_connected and not self._udp and error.errno not in _DROPPED:
                self._try_again(packet)
            else:
                self._lose(error)
        else:
            self.taken += 1

    def close(self) -> None:
        """Close the connection; the next packet opens another one."""
        connected, self._connected = self._connected, None
        if connected is not None:
            connected[0].close()

    def _try_again(self, packet: bytes) -> None:
        self._disconnect()
        try:
            self._send(packet)
        except OSError as error:
            self._lose(error)
        else:
            # A packet over UDP is not known to be taken: the one before was not.
            self.taken += 0 if self._udp else 1

    def _send(self, packet: bytes) -> None:
        connected = self._connected
        if connected is not None and connected[1] not in self._targets:
            self.close()
            connected = None
        if connected is None:
            connected = self._connected = _connected_to(self._targets)
        to, target = connected
        if target.type is socket.SOCK_STREAM:
            framed = struct.pack("<I", len(packet)) + packet
            if to.send(framed) < len(framed):
                # The rest of the frame cannot follow later: the agent would read the next one as its rest.
                self.close()
                raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        else:
            to.send(packet)

    def _disconnect(self) -> None:
        """Close the connection, and connect to another address of a host that has several."""
        connected = self._connected
        self.close()
        if self._udp and connected is not None and len(self._targets) > 1:
            others = [target for target in self._targets if target != connected[1]]
            self._targets = [*others, connected[1]]

    def _lose(self, error: OSError) -> None:
        self.lost += 1
        self.reason = "it does not read" if error.errno == errno.EAGAIN else (error.strerror or str(error))
        if error.errno not in _DROPPED and not self._udp:
            self.close()


def _connected_to(targets: Sequence[SocketTarget]) -> tuple[socket.socket, SocketTarget]:
    """A socket connected to the first target that takes it. Raises the last target's OSError."""
    failed = OSError(errno.ENOENT, os.strerror(errno.ENOENT))
    for target in targets:
        opened = socket.socket(target.family, target.type)
        try:
            opened.setblocking(False)
            opened.connect(target.address)
        except OSError as error:
            opened.close()
            failed = error
        else:
            return opened, target
    raise failed
