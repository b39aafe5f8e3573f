"""The events of a start, and what it changed since the start before."""

from handlers.ports import StoreAway
from tests.worker.stand_ins.fake_clock import FakeClock
from tests.worker.stand_ins.telemetry_recorder import TelemetryRecorder
from worker.ports.fleet import Deployment
from worker.store.memory.fleet import MemoryFleet
from worker.telemetry.datadog_event import AgentEventKind
from worker.telemetry.start_events import tell_start

OLD = Deployment(version="1.0", policy="shadow")


class _AwayFleet(MemoryFleet):
    async def replace_deployment(self, deployment: Deployment) -> Deployment | None:
        raise StoreAway("no primary")


async def _told(*deployments: Deployment) -> list[tuple[AgentEventKind, str]]:
    """The events of the last of these starts."""
    fleet = MemoryFleet(FakeClock())
    recorder = TelemetryRecorder()
    for deployment in deployments:
        recorder.events.clear()
        await tell_start(fleet, deployment, recorder.telemetry)
    return [(event.kind, event.title) for event in recorder.events]


async def test_the_first_start_and_one_of_the_same_are_starts_alone() -> None:
    assert await _told(OLD) == [(AgentEventKind.STARTED, "Worker started")]
    assert await _told(OLD, OLD) == [(AgentEventKind.STARTED, "Worker started")]


async def test_another_version_is_a_deployment_and_another_policy_a_change() -> None:
    assert await _told(OLD, Deployment(version="2.0", policy="causal")) == [
        (AgentEventKind.STARTED, "Worker started"),
        (AgentEventKind.DEPLOYED, "Deployed: version 2.0"),
        (AgentEventKind.POLICY_CHANGED, "Policy changed: causal"),
    ]


async def test_the_first_worker_of_a_version_tells_it_and_the_others_do_not() -> None:
    new = Deployment(version="2.0", policy="shadow")
    assert len(await _told(OLD, new)) == 2
    assert len(await _told(OLD, new, new)) == 1


async def test_a_change_is_a_log_line_too() -> None:
    fleet, recorder = MemoryFleet(FakeClock()), TelemetryRecorder()
    for deployment in (OLD, Deployment(version="1.0", policy="causal")):
        await tell_start(fleet, deployment, recorder.telemetry)
    (line,) = recorder.lines
    assert (line["msg"], line["change"], line["title"]) == (
        "deployment changed",
        "policy_changed",
        "Policy changed: causal",
    )


async def test_a_store_that_is_away_does_not_keep_a_worker_from_starting() -> None:
    recorder = TelemetryRecorder()
    await tell_start(_AwayFleet(FakeClock()), OLD, recorder.telemetry)
    assert [event.kind for event in recorder.events] == [AgentEventKind.STARTED]
    assert recorder.messages == ["the deployment before is not known"]


async def test_an_endless_version_is_shortened() -> None:
    ((_, title),) = (await _told(OLD, Deployment(version="v" * 9_000, policy="shadow")))[1:]
    assert len(title) < 300
