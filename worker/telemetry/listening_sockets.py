"""Sockets to listen on: one for each address of a host, bound and not listening yet."""

import asyncio
import errno
import socket
from typing import Any, Final

from worker.errors import Misconfigured, first_line

_NO_SUCH_ADDRESS: Final = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


async def listening_sockets(host: str, port: int, *, setting: str) -> list[socket.socket]:
    """A socket for each address of the host, all on one port; 0 takes a free one.

    Raises Misconfigured if the port is taken or the host is no address of this machine; `setting` is the first part of
    the settings' names.
    """
    try:
        return await _bound_sockets(host, port)
    except OSError as error:
        line = f"{setting}_HOST {host}, {setting}_PORT {port}: {first_line(error)}: {_remedy(error)}"
        raise Misconfigured(line) from error


async def _bound_sockets(host: str, port: int) -> list[socket.socket]:
    """A socket for each address of the host, all on one port. Raises OSError where none can be bound.

    `::` takes IPv4 too, as other servers do: probes and health checks of one fleet come by either. A name may have an
    address that this machine lacks, as `localhost` has where IPv6 is switched off.
    """
    sockets: list[socket.socket] = []
    missing: OSError | None = None
    for family, _, _, _, address in await _addresses(host, port):
        try:
            chosen = sockets[0].getsockname()[1] if sockets else port
            sockets.append(_bound(family, str(address[0]), chosen))
        except OSError as error:
            if error.errno not in _NO_SUCH_ADDRESS:
                for each in sockets:
                    each.close()
                raise
            missing = error
    if missing is not None and not sockets:
        raise missing
    return sockets


async def _addresses(host: str, port: int) -> list[Any]:
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except UnicodeError as error:
        raise OSError("it is not a host name") from error
    return list(dict.fromkeys(found))


def _bound(family: int, address: str, port: int) -> socket.socket:
    # With the protocol named: only then asyncio sets TCP_NODELAY on what is accepted. Without it, an answer in two
    # parts takes 40 ms.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if address == "::" else 1)
        bound.bind((address, port))
    except OSError:
        bound.close()
        raise
    return bound


def _remedy(error: OSError) -> str:
    if error.errno in (errno.EADDRINUSE, errno.EACCES):
        return "choose another port, or 0 for a free one"
    return "choose an address of this machine, 0.0.0.0 for every IPv4 address, or :: for every address"
