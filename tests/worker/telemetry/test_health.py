"""`/healthz` and `/readyz` over HTTP: ready only if every part is, and naming each part that is not."""

import asyncio
import socket
from typing import Any

import aiohttp
import pytest

from tests.worker.stand_ins.fake_clock import FakeClock
from worker.errors import Misconfigured
from worker.telemetry.build import BUILD
from worker.telemetry.health import PARTS, Health, serve_health


async def _ask(port: int, path: str, *, host: str = "127.0.0.1") -> tuple[int, dict[str, Any]]:
    async with aiohttp.ClientSession() as session, session.get(f"http://{host}:{port}{path}") as answer:
        return answer.status, await answer.json()


async def test_a_starting_worker_is_alive_and_not_ready() -> None:
    health = Health(clock=FakeClock(), silence_s_max=90)
    async with serve_health(health, host="127.0.0.1", port=0) as port:
        assert await _ask(port, "/healthz") == (200, {"status": "alive"})
        status, said = await _ask(port, "/readyz")
        assert status == 503
        assert said["checks"]["queue"] == {"ok": False, "reason": "starting"}


async def test_a_worker_is_ready_when_every_part_is_and_names_the_part_that_is_not() -> None:
    clock = FakeClock()
    health = Health(clock=clock, silence_s_max=90)
    for part in PARTS:
        health.mark_healthy(part)
    async with serve_health(health, host="127.0.0.1", port=0) as port:
        status, said = await _ask(port, "/readyz")
        assert (status, said["ready"], said["build"]) == (200, True, BUILD)
        health.mark_unhealthy("store", "MongoDB is away: no primary")
        status, said = await _ask(port, "/readyz")
        assert status == 503
        assert said["checks"]["store"] == {"ok": False, "reason": "MongoDB is away: no primary"}
        assert said["checks"]["queue"] == {"ok": True}
        health.mark_healthy("store")
        await clock.advance(91)
        status, said = await _ask(port, "/readyz")
        assert (status, said["checks"]["progress"]["ok"]) == (503, False)
        health.note_progress()
        assert (await _ask(port, "/readyz"))[0] == 200


async def test_setting_the_clock_neither_causes_nor_hides_a_silence() -> None:
    clock = FakeClock()
    health = Health(clock=clock, silence_s_max=90)
    clock.put(3_600)
    assert health.report()["checks"]["progress"]["ok"]
    clock.put(-7_200)
    await clock.advance(91)
    assert not health.report()["checks"]["progress"]["ok"]


async def test_what_keeps_events_from_the_queue_is_shown_and_makes_nobody_unready() -> None:
    health = Health(clock=FakeClock(), silence_s_max=90)
    for part in PARTS:
        health.mark_healthy(part)
    assert health.report()["delivery"] is None
    health.note_delivery(["no subscription"], ["queue policy: away"])
    async with serve_health(health, host="127.0.0.1", port=0) as port:
        status, said = await _ask(port, "/readyz")
    assert (status, said["ready"]) == (200, True)
    assert said["delivery"] == {"findings": ["no subscription"], "untried": ["queue policy: away"]}


async def test_a_connection_without_a_request_is_closed_and_holds_no_file_descriptor_for_ever() -> None:
    clock = FakeClock()
    async with serve_health(Health(clock=clock, silence_s_max=90), host="127.0.0.1", port=0) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await _ask(port, "/healthz") == (200, {"status": "alive"})
        await clock.advance(30)
        assert await asyncio.wait_for(reader.read(), timeout=10) == b""
        writer.close()
        await writer.wait_closed()
        assert await _ask(port, "/healthz") == (200, {"status": "alive"})


async def test_a_taken_port_is_one_line_with_the_remedy() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(Misconfigured, match=f"HTTP_PORT {port}: .*choose another port"):
            async with serve_health(Health(clock=FakeClock(), silence_s_max=90), host="127.0.0.1", port=port):
                pass


@pytest.fixture
def ipv6() -> None:
    """Skips where the machine has no IPv6."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError as error:
        pytest.skip(f"no IPv6 here: {error}")


@pytest.mark.usefixtures("ipv6")
async def test_row_16_the_wildcard_of_ipv6_serves_both_families() -> None:
    async with serve_health(Health(clock=FakeClock(), silence_s_max=90), host="::", port=0) as port:
        assert await _ask(port, "/healthz") == (200, {"status": "alive"})
        assert await _ask(port, "/healthz", host="[::1]") == (200, {"status": "alive"})


@pytest.mark.usefixtures("ipv6")
async def test_row_16_one_address_of_ipv6_serves_that_family_alone() -> None:
    async with serve_health(Health(clock=FakeClock(), silence_s_max=90), host="::1", port=0) as port:
        assert await _ask(port, "/healthz", host="[::1]") == (200, {"status": "alive"})
        with pytest.raises(aiohttp.ClientConnectorError):
            await _ask(port, "/healthz")


async def test_row_16_a_name_with_several_addresses_is_served_on_one_port() -> None:
    async with serve_health(Health(clock=FakeClock(), silence_s_max=90), host="localhost", port=0) as port:
        assert await _ask(port, "/healthz", host="localhost") == (200, {"status": "alive"})
        assert await _ask(port, "/healthz") == (200, {"status": "alive"})


@pytest.mark.parametrize("host", ["203.0.113.1", "no-such-host.invalid", "a..b", "a" * 64])
async def test_row_16_an_address_of_another_machine_is_one_line_with_the_remedy(host: str) -> None:
    with pytest.raises(Misconfigured, match=f"HTTP_HOST {host}, .*choose an address of this machine"):
        async with serve_health(Health(clock=FakeClock(), silence_s_max=90), host=host, port=0):
            pass


async def test_a_task_of_the_server_that_ends_with_an_error_ends_the_context() -> None:
    """Connections without a request would stay open for ever."""

    class BrokenClock(FakeClock):
        async def sleep(self, seconds: float) -> None:
            raise ZeroDivisionError

    with pytest.raises(ExceptionGroup) as raised:
        async with (
            asyncio.timeout(5),
            serve_health(Health(clock=BrokenClock(), silence_s_max=90), host="127.0.0.1", port=0),
        ):
            await asyncio.Event().wait()
    assert raised.group_contains(ZeroDivisionError)
