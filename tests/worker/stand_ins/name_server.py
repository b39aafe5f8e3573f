"""A DNS server for one test: it says nothing until it is told to answer.

It knows one name, `HOST`, whose SRV record leads to 127.0.0.1: the name of an address as DNS spells it, so that nothing
else must be looked up.
"""

import contextlib
import socket
import threading
from collections.abc import Iterator

import dns.asyncresolver
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

HOST = "db.0.0.1"


def resolver_at(port: int) -> dns.asyncresolver.Resolver:
    """A resolver that asks the server on that port alone."""
    resolver = dns.asyncresolver.Resolver(configure=False)
    resolver.nameservers = ["127.0.0.1"]
    resolver.port = port
    return resolver


class SrvNameServer:
    """Listens on a free UDP port of 127.0.0.1. `silent` and `mongodb_port` may be changed at any time."""

    def __init__(self) -> None:
        self.silent = True
        self.mongodb_port = 0
        self.asked = 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        port: int = self._socket.getsockname()[1]
        return port

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                wire, client = self._socket.recvfrom(4096)
            except OSError:
                return
            if not wire:
                return
            self.asked += 1
            if not self.silent:
                self._socket.sendto(self._answer(dns.message.from_wire(wire)), client)

    def _answer(self, query: dns.message.Message) -> bytes:
        answer = dns.message.make_response(query)
        question = query.question[0]
        if question.name.to_text() == f"_mongodb._tcp.{HOST}." and question.rdtype == dns.rdatatype.SRV:
            record = f"0 0 {self.mongodb_port} 127.0.0.1."
            answer.answer.append(dns.rrset.from_text(question.name, 60, "IN", "SRV", record))
        else:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        return answer.to_wire()


@contextlib.contextmanager
def name_server() -> Iterator[SrvNameServer]:
    """A silent server, closed at the end."""
    server = SrvNameServer()
    try:
        yield server
    finally:
        server.close()
