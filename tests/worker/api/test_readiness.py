"""Alive and ready: what the probes of the API are told."""

from typing import Any

from handlers.ports import StoreAway
from tests.handlers.small_ports import HandClock
from tests.worker.api.face import Pings, a_face
from tests.worker.stand_ins.telemetry_recorder import TelemetryRecorder
from worker.api.readiness import Readiness
from worker.telemetry.build import BUILD


async def test_it_is_ready_while_mongodb_answers() -> None:
    ping, clock, recorder = Pings(), HandClock(), TelemetryRecorder()
    readiness = Readiness(ping=ping, clock=clock, log=recorder.telemetry.log)
    assert await _reasons(readiness) == {"store": "starting", "server": None}
    readiness.mark_unprepared("no server")
    assert await _reasons(readiness) == {"store": "no server", "server": None}
    readiness.mark_prepared()
    checks = {"store": {"ok": True}, "server": {"ok": True}}
    assert await readiness.report() == {"ready": True, "checks": checks, "build": BUILD}
    ping.fault = StoreAway("no primary\nand more")
    await clock.sleep(1)
    for _ in range(3):
        assert await _reasons(readiness) == {"store": "MongoDB is away: no primary", "server": None}
        await clock.sleep(1)
    ping.fault = None
    assert await _reasons(readiness) == {"store": None, "server": None}
    # An outage is told once, and its end.
    assert [(line["msg"], line.get("reason")) for line in recorder.lines] == [
        ("store away", "MongoDB is away: no primary"),
        ("store back", None),
    ]
    readiness.mark_stopping()
    assert await _reasons(readiness) == {"store": None, "server": "stopping"}


async def test_many_probes_cause_one_call_a_second() -> None:
    ping, clock = Pings(), HandClock()
    readiness = Readiness(ping=ping, clock=clock, log=TelemetryRecorder().telemetry.log)
    await readiness.report()
    readiness.mark_prepared()
    for _ in range(20):
        await readiness.report()
        await clock.sleep(0.1)
    assert ping.count == 2


async def test_the_addresses_answer_with_it() -> None:
    face = a_face()
    alive, ready = await face.get("/healthz"), await face.get("/readyz")
    assert (alive.status, alive.json) == (200, {"status": "alive"})
    assert (ready.status, ready.json["ready"], ready.json["build"]) == (200, True, BUILD)
    face.parts.readiness.mark_stopping()
    stopping = await face.get("/readyz")
    assert (stopping.status, stopping.json["checks"]["server"]["reason"]) == (503, "stopping")
    assert (await face.get("/healthz")).status == 200


async def _reasons(readiness: Readiness) -> dict[str, Any]:
    report = await readiness.report()
    reasons = {part: check.get("reason") for part, check in report["checks"].items()}
    assert report["ready"] == all(reason is None for reason in reasons.values())
    return reasons
