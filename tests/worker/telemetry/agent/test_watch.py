"""The agent's name is looked up again and again, and an agent that is away is reported once, then once a minute."""

import asyncio
import socket
from collections.abc import Sequence
from typing import Any

import pytest

from tests.worker.stand_ins.fake_clock import FakeClock
from tests.worker.stand_ins.telemetry_recorder import TelemetryRecorder
from tests.worker.stand_ins.thread_limit import no_more_threads
from tests.worker.telemetry.agent.agents import free_port, port_of, target, to_udp, udp_agent
from worker.runtime.lookup_threads import lookup_threads
from worker.telemetry.agent.address import UdpAddress
from worker.telemetry.agent.packet_socket import AgentSocket, SocketTarget
from worker.telemetry.agent.watch import LOOK_UP_AGAIN_S, LOOK_UP_S, AgentLookUp, AgentReport, look_up_agent

AGENT = UdpAddress(host="datadog-agent", port=8125)
AWAY = "the Datadog agent takes no metrics"
BACK = "the Datadog agent takes metrics again"


class StandInLookUp:
    """Answers with `targets`; is away while there are none."""

    def __init__(self) -> None:
        self.targets: Sequence[SocketTarget] = ()
        self.questions: list[tuple[str, int]] = []

    async def look_up(self, host: str, port: int) -> Sequence[SocketTarget]:
        self.questions.append((host, port))
        if not self.targets:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return self.targets


class AgentWatchBench:
    def __init__(self, agent_socket: AgentSocket) -> None:
        self.clock = FakeClock()
        self.names = StandInLookUp()
        self.recorder = TelemetryRecorder()
        self.socket = agent_socket
        self.lookup = AgentLookUp(
            address=AGENT, agent_socket=agent_socket, clock=self.clock, look_up=self.names.look_up
        )
        self.report = AgentReport(agent_socket=agent_socket, clock=self.clock, log=self.recorder.telemetry.log)

    async def pass_s(self, seconds: int, *, packets: int = 3) -> None:
        """Let the seconds pass, with so many packets in each."""
        for _ in range(seconds):
            for _ in range(packets):
                self.socket.send(b"x")
            await self.clock.advance(1)

    def lines(self) -> list[dict[str, Any]]:
        return [line for line in self.recorder.lines if line["msg"] in (AWAY, BACK)]


async def test_row_11_a_name_server_that_is_away_then_answers_then_answers_another_address() -> None:
    with udp_agent() as first, udp_agent() as second:
        bench = AgentWatchBench(AgentSocket(AGENT))
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(bench.lookup.run())
            await bench.clock.advance(0)
            assert bench.names.questions == [("datadog-agent", 8125)]
            bench.socket.send(b"no address")
            assert bench.socket.reason == "its name cannot be looked up: Temporary failure in name resolution"
            bench.names.targets = [target(port_of(first))]
            await bench.clock.advance(LOOK_UP_AGAIN_S)
            bench.socket.send(b"to the first")
            assert first.recv(99) == b"to the first"
            bench.names.targets = ()
            await bench.clock.advance(LOOK_UP_S)
            bench.socket.send(b"to the first still")
            assert first.recv(99) == b"to the first still"
            bench.names.targets = [target(port_of(second))]
            await bench.clock.advance(LOOK_UP_S)
            bench.socket.send(b"to the second")
            assert second.recv(99) == b"to the second"
            task.cancel()
        bench.socket.close()


async def test_row_11_the_name_is_looked_up_sooner_while_packets_are_lost() -> None:
    bench = AgentWatchBench(AgentSocket(AGENT))
    bench.names.targets = [target(free_port())]
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(bench.lookup.run())
        await bench.clock.advance(LOOK_UP_S - 1)
        assert len(bench.names.questions) == 1
        bench.socket.send(b"x")
        bench.socket.send(b"x")
        await bench.clock.advance(1)
        assert len(bench.names.questions) == 2
        bench.socket.send(b"x")
        await bench.clock.advance(2 * LOOK_UP_S)
        assert bench.clock.slept.count(LOOK_UP_AGAIN_S) == 2
        task.cancel()
    bench.socket.close()


async def test_row_12_an_agent_that_is_away_is_reported_once_then_once_a_minute_and_once_when_it_is_back() -> None:
    port = free_port()
    bench = AgentWatchBench(to_udp(port))
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(bench.report.run())
        await bench.pass_s(150)
        first, second, third = bench.lines()
        assert [line["msg"] for line in (first, second, third)] == [AWAY] * 3
        assert (first["level"], first["reason"], first["agent"]) == (40, "Connection refused", f"127.0.0.1:{port}")
        # The answer to the first packet comes with the second one.
        assert [line["packetsLost"] for line in (first, second, third)] == [2, 180, 180]
        with udp_agent(port):
            await bench.pass_s(30)
        (back,) = bench.lines()[3:]
        assert (back["msg"], back["level"], back["packetsLost"], back["seconds"]) == (BACK, 30, 450, 161)
        task.cancel()
    bench.socket.close()


async def test_row_12_an_agent_that_comes_and_goes_fills_no_log() -> None:
    """As with a remote host, whose answers are limited to one a second."""
    port = free_port()
    bench = AgentWatchBench(to_udp(port))
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(bench.report.run())
        for _ in range(30):
            await bench.pass_s(1)
            with udp_agent(port):
                await bench.pass_s(5)
        assert [line["msg"] for line in bench.lines()] == [AWAY] * 3
        task.cancel()
    bench.socket.close()


async def test_row_11_a_first_look_up_that_takes_long_is_no_agent_that_is_away() -> None:
    bench = AgentWatchBench(AgentSocket(AGENT))
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(bench.report.run())
        await bench.pass_s(5)
        assert bench.lines() == []
        bench.socket.reason = "its name cannot be looked up"
        await bench.pass_s(1)
        (line,) = bench.lines()
        assert line["packetsLost"] == 18
        task.cancel()


async def test_row_11_the_systems_resolver() -> None:
    (found,) = await look_up_agent("127.0.0.1", 8125)
    assert (found.family, found.address) == (socket.AF_INET, ("127.0.0.1", 8125))
    for name in ("no-such-host.invalid", "a..b"):
        with pytest.raises(OSError, match=r"[Nn]ame"):
            await look_up_agent(name, 8125)


async def test_the_agents_name_is_looked_up_when_no_thread_can_be_started_any_more() -> None:
    """It is looked up while the worker runs: a thread that the system refuses would end the worker."""
    with lookup_threads(asyncio.get_running_loop()), no_more_threads():
        assert await look_up_agent("127.0.0.1", 8125)
