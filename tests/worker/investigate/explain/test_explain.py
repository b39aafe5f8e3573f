"""Who un-assigned it, and why: the answer out of the kept audit of either store, out of logs, and what is missing."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import orjson
import pytest

from sync.state.sync_state import SyncState
from tests.handlers.wire_events import changes, conversation, event
from tests.worker.investigate.explain.stories import (
    STORED,
    TRACE,
    Played,
    by_a_person_in_the_app,
    by_the_router,
    over_http,
    seen,
)
from tests.worker.store.plans import state_plan
from tests.worker.store.ports.test_pair_history import kept, timing
from tests.worker.store.store_bench import Bench, MemoryBench
from worker.investigate.explain.explanation import Explanation, explain, explanation_wire
from worker.investigate.explain.log_files import LoggedPast, read_logs
from worker.investigate.explain.stored_past import StoredPast, read_past

Story = Callable[[Played], Awaitable[None]]


async def played(bench: Bench, story: Story, **options: Any) -> Played:
    await bench.put(conversations=STORED[:1], work_items=STORED[1:])
    on_it = Played(bench.store, **options)
    await story(on_it)
    return on_it


async def past_of(bench: Bench, audit_days: int = 30) -> StoredPast:
    return await read_past("c-1", store=bench.store, history=bench.history, audit_days=audit_days)


async def explained(bench: Bench, **options: Any) -> Explanation:
    return explain("c-1", await past_of(bench), None, **options)


def logged(tmp_path: Path, lines: list[Any], of: str = "c-1") -> LoggedPast:
    log = tmp_path / "worker.log"
    log.write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))
    faults: list[str] = []
    past = read_logs([log], of, print_error=faults.append, advance=lambda: None, stdin=BytesIO())
    assert faults == []
    return past


async def test_by_a_person_in_the_app(bench: Bench) -> None:
    await played(bench, by_a_person_in_the_app)
    answer = (await explained(bench)).answer
    assert answer.text.startswith("agent u-1 was un-assigned from work-item w-1 at 2024-05-06T07:10:09.250Z by rule B")
    assert "(policy causal), because event event-c-1-5-update (kustomer.conversation.update, conversation 5 by " in (
        answer.text
    )
    assert (answer.kind, answer.agents, answer.rule, answer.policy) == ("unassigned", ("u-1",), "B3", "causal")
    assert (answer.event_id, answer.client, answer.trace_id) == ("event-c-1-5-update", "agent-app", TRACE["trace_id"])


async def test_by_the_router(bench: Bench) -> None:
    await played(bench, by_the_router)
    explanation = await explained(bench)
    answer = explanation.answer
    assert answer.text == (
        "agent u-1 was un-assigned from the conversation at 2024-05-06T07:10:09.250Z by rule A3 (policy causal), "
        "because event event-w-1-8-update (kustomer.work-item.update, work-item 8 by client router); "
        "written as conversation 5"
    )
    assert (answer.rule, answer.client, answer.trace_id) == ("A3", "router", TRACE["trace_id"])
    assert [each.kind for each in explanation.timeline.findings if each.kind == "UPDATE_LOST"] == []


async def test_by_a_client_of_the_api(bench: Bench) -> None:
    await played(bench, over_http)
    answer = (await explained(bench)).answer
    assert answer.text.startswith("agent u-1 was un-assigned from the conversation at ")
    assert "by rule A3 (policy causal), because event " in answer.text
    assert answer.text.endswith("; the API client crm had sent that update over HTTP")
    assert (answer.api_client, answer.trace_id) == ("crm", TRACE["trace_id"])


@pytest.mark.parametrize("story", [by_a_person_in_the_app, by_the_router, over_http], ids=lambda story: story.__name__)
async def test_the_log_alone_answers_the_same(story: Story, tmp_path: Path) -> None:
    bench = MemoryBench()
    on_it = await played(bench, story)
    from_store = await explained(bench)
    from_log = explain("c-1", None, logged(tmp_path, on_it.lines))
    assert from_log.answer == from_store.answer
    both = explain("c-1", await past_of(bench), logged(tmp_path, on_it.lines))
    assert both.answer == from_store.answer
    assert len(both.timeline.entries) == len(from_store.timeline.entries)


async def test_every_revision_has_its_state_before_and_after(bench: Bench) -> None:
    await played(bench, by_the_router)
    entries = {each.label: each for each in (await explained(bench)).timeline.entries}
    assert list(entries) == ["conversation 4", "work-item 7", "work-item 8", "conversation 5"]
    told = {
        label: (each.before and each.before.assignees, each.state and each.state.assignees, each.is_sync)
        for label, each in entries.items()
    }
    assert told == {
        "conversation 4": ((), ("u-1",), False),
        "work-item 7": ((), ("u-1",), False),
        "work-item 8": (("u-1",), (), False),
        "conversation 5": (("u-1",), (), True),
    }
    state = entries["work-item 8"].state
    assert state is not None
    assert (state.status, state.queue) == ("queued", "q-1")
    assert entries["work-item 8"].known_conversation_rev == 4


async def test_as_of_a_time_before_it_the_answer_is_the_assignment() -> None:
    bench = MemoryBench()
    on_it = await played(bench, by_the_router)
    before = on_it.clock.now() - timedelta(seconds=55)
    answer = (await explained(bench, at=before)).answer
    assert (answer.kind, answer.agents) == ("assigned", ("u-1",))
    assert answer.text.startswith("nobody was un-assigned; agent u-1 was assigned to ")
    early = await explained(bench, at=before - timedelta(days=40))
    assert any("was asked for" in each for each in early.missing)
    assert not early.is_answered


async def test_an_assignment_since_then_is_told() -> None:
    bench = MemoryBench()
    on_it = await played(bench, by_the_router)
    again = changes({"assignedUsers": ([], ["u-2"])})
    await on_it.take(event(conversation(6, users=("u-2",), queue="q-1"), changes=again, client="workflow", at=80))
    answer = (await explained(bench)).answer
    assert answer.agents == ("u-1",)
    assert "; u-2 was assigned at " in answer.text


# What is missing


async def test_with_the_audit_off_it_says_so_and_what_to_do() -> None:
    bench = MemoryBench()
    await played(bench, by_the_router, keeps_audit=False)
    explanation = explain("c-1", await past_of(bench, audit_days=0), None)
    assert explanation.answer.kind == "unknown"
    assert explanation.missing[0] == "AUDIT_DAYS is 0: no decision is kept: name the workers' log with --logs FILE"
    expired = explain("c-1", await past_of(bench), None)
    assert "AUDIT_DAYS keeps them for 30 days" in expired.missing[0]


async def test_of_an_unknown_conversation_nothing_is_known() -> None:
    past = await past_of(MemoryBench())
    assert not past.known


async def test_a_lost_event_and_a_record_that_cannot_be_read_are_named() -> None:
    bench = MemoryBench()
    await played(bench, seen)
    await bench.put(conversations=[{**STORED[0], "rev": 9, "attributes": {**STORED[0]["attributes"], "rev": 9}}])
    version = bench.store.state("c-1").version
    broken = {**kept("odd", 1, of="c-1"), "record": "{"}
    await bench.store.commit([state_plan("c-1", version=version + 1, audits=(broken,))])
    missing = (await explained(bench)).missing
    assert any(each.startswith("odd in the store cannot be read: record is") for each in missing)
    assert SyncState() != bench.store.state("c-1")


async def test_timings_of_revisions_that_no_decision_tells_of_stand_in_the_timeline() -> None:
    bench = MemoryBench()
    await played(bench, seen)
    version = bench.store.state("c-1").version
    rest = timing("w-1", 6, -60, conversationId="c-1")
    await bench.store.commit([state_plan("c-1", version=version + 1, revisions=(rest,))])
    timeline = (await explained(bench)).timeline
    assert [(each.rev, each.client) for each in timeline.entries if each.other_changes] == [(6, "routing-worker")]


async def test_the_explanation_is_json() -> None:
    bench = MemoryBench()
    await played(bench, over_http)
    wire = explanation_wire(await explained(bench))
    assert orjson.loads(orjson.dumps(wire)) == wire
    assert list(wire) == ["answer", "at", "missing", "timeline"]
    assert wire["answer"]["revision"] == {"side": "conversation", "id": "c-1", "rev": 5}


@pytest.mark.parametrize(
    "odd",
    [
        {"event": 7}, {"written": 7}, {"written": [7, {"side": 7}, {"side": "conversation", "id": 7, "rev": 1}]},
        {"reasons": {"a": 1}}, {"event": {"name": "kustomer.conversation.update", "rev": "x"}}, {"dd": 7},
        {"event": {"name": "kustomer.conversation.update", "rev": 5, "id": "e", "changes": {
            "assignedUsers": 7, "queue": {"before": 7, "after": [1]}, "status": {"before": {}, "after": None},
        }}},
    ],
    ids=str,
)  # fmt: skip
def test_a_record_of_any_form_is_no_fault(odd: dict[str, Any], tmp_path: Path) -> None:
    line = {"msg": "CONVERSATION_SYNC_AUDIT", "time": "2024-05-06T07:08:09Z", "conversationId": "c-1",
            "outcome": "applied", **odd}  # fmt: skip
    explanation = explain("c-1", None, logged(tmp_path, [line]))
    assert orjson.dumps(explanation_wire(explanation))
