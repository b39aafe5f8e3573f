"""The socket to the agent: packets taken and lost, on real sockets."""

import socket
from pathlib import Path

from tests.worker.telemetry.agent.agents import free_port, port_of, target, to_udp, to_unix, udp_agent, unix_agent


def test_row_12_packets_that_no_agent_takes_are_counted() -> None:
    agent_socket = to_udp(free_port())
    for _ in range(5):
        agent_socket.send(b"x")
    # The answer to a packet comes with the next one.
    assert (agent_socket.taken, agent_socket.lost, agent_socket.reason) == (1, 4, "Connection refused")
    agent_socket.close()


def test_row_12_the_first_packet_to_an_agent_that_is_back_arrives() -> None:
    port = free_port()
    agent_socket = to_udp(port)
    for _ in range(5):
        agent_socket.send(b"down")
    with udp_agent(port) as agent:
        agent_socket.send(b"up")
        agent_socket.send(b"up")
        assert [agent.recv(9), agent.recv(9)] == [b"up", b"up"]
        assert agent_socket.taken == 2
    agent_socket.close()


def test_row_11_an_agent_that_moved_gets_the_next_packet() -> None:
    with udp_agent() as old, udp_agent() as new:
        agent_socket = to_udp(port_of(old))
        agent_socket.send(b"first")
        agent_socket.use([target(port_of(new))])
        agent_socket.send(b"second")
        assert (old.recv(9), new.recv(9)) == (b"first", b"second")
        agent_socket.close()


def test_row_11_of_several_addresses_the_one_that_answers_is_used() -> None:
    with udp_agent() as agent:
        agent_socket = to_udp(0)
        agent_socket.use([target(free_port()), target(port_of(agent))])
        for _ in range(3):
            agent_socket.send(b"x")
        assert agent.recv(9) == b"x"
        assert agent_socket.lost == 1
        agent_socket.close()


def test_row_11_a_unix_socket_of_datagrams(tmp_path: Path) -> None:
    path = tmp_path / "dsd.socket"
    agent_socket = to_unix(path)
    agent_socket.send(b"before")
    assert (agent_socket.lost, agent_socket.reason) == (1, "No such file or directory")
    with unix_agent(path) as agent:
        agent_socket.send(b"first")
        assert agent.recv(9) == b"first"
    agent_socket.send(b"down")
    assert (agent_socket.taken, agent_socket.lost, agent_socket.reason) == (1, 2, "Connection refused")
    path.unlink()
    with unix_agent(path) as agent:
        agent_socket.send(b"again")
        assert agent.recv(9) == b"again"
        assert (agent_socket.taken, agent_socket.lost) == (2, 2)
    agent_socket.close()


def test_row_11_an_agent_that_was_started_anew_between_two_packets_loses_none(tmp_path: Path) -> None:
    path = tmp_path / "dsd.socket"
    agent_socket = to_unix(path)
    with unix_agent(path) as agent:
        agent_socket.send(b"first")
        assert agent.recv(9) == b"first"
    path.unlink()
    with unix_agent(path) as agent:
        agent_socket.send(b"again")
        assert agent.recv(9) == b"again"
    assert (agent_socket.taken, agent_socket.lost) == (2, 0)
    agent_socket.close()


def test_row_11_a_unix_socket_of_a_stream(tmp_path: Path) -> None:
    """Each packet has its length before it, in four bytes."""
    path = tmp_path / "dsd.socket"
    with unix_agent(path, socket.SOCK_STREAM) as listener:
        agent_socket = to_unix(path)
        agent_socket.send(b"abc")
        agent_socket.send(b"de")
        with listener.accept()[0] as agent:
            assert agent.recv(99) == b"\x03\0\0\0abc\x02\0\0\0de"
        agent_socket.close()


def test_row_12_an_agent_that_does_not_read_delays_nothing(tmp_path: Path) -> None:
    path = tmp_path / "dsd.socket"
    with unix_agent(path):
        agent_socket = to_unix(path)
        for _ in range(2_000):
            agent_socket.send(b"x" * 1_000)
        assert agent_socket.taken > 0
        assert (agent_socket.taken + agent_socket.lost, agent_socket.reason) == (2_000, "it does not read")
        agent_socket.close()


def test_row_12_a_packet_that_is_too_large_is_lost_alone() -> None:
    with udp_agent() as agent:
        agent_socket = to_udp(port_of(agent))
        for packet in (b"a", b"x" * 100_000, b"b"):
            agent_socket.send(packet)
        assert [agent.recv(9), agent.recv(9)] == [b"a", b"b"]
        assert (agent_socket.taken, agent_socket.lost, agent_socket.reason) == (2, 1, "Message too long")
        agent_socket.close()
