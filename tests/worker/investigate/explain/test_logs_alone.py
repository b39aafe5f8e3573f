"""Both captured incidents as this worker decides them, answered from its audit lines alone."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import orjson
import pytest
from msgspec.structs import replace

from commands.instant import parse_instant
from handlers.documents.document import document_from_snapshot
from handlers.options import PolicyInUse
from tests.handlers.wire_events import LOST_ASSIGNMENT, UNASSIGN_WITHOUT_QUEUE, Json, captured
from tests.worker.investigate.explain.stories import Played
from tests.worker.investigate.explain.test_explain import logged
from tests.worker.investigate.explain.test_lost_updates import read
from tests.worker.store.store_bench import MemoryBench
from worker.investigate.explain.explanation import Explanation, explain
from worker.investigate.explain.lost_update import lost_update

_CONVERSATION = "621fc1d36a39b4aa389cb72b"
_AGENT = "61a6a83fdf1e2d21501a77c1"


async def _lines(events: Sequence[Json], stored: Sequence[Json], policy: PolicyInUse) -> list[Json]:
    """The audit lines of a worker that gets these events, each 30 ms after all that is stored was published."""
    bench = MemoryBench()
    documents = [_document(line) for line in stored]
    await bench.put(
        conversations=[each for each in documents if each["type"] == "conversation"],
        work_items=[each for each in documents if each["type"] != "conversation"],
    )
    on_it = Played(bench.store, policy=policy)
    at = max(parse_instant(line["body"]["publishedAt"]) or on_it.clock.at for line in stored)
    for number, line in enumerate(events, start=1):
        on_it.clock.at = at + timedelta(milliseconds=30 * number)
        await on_it.take(line)
    return on_it.lines


def _document(line: Json) -> Json:
    event = line["body"]["body"]
    return dict(document_from_snapshot(event["data"], org=event["org"], rev=event["data"]["attributes"]["rev"]))


def _lost(tmp_path: Path, policy: PolicyInUse, knew: int = 4) -> Explanation:
    """The worker meets the assignment by the workflow before the event of the work-item that did not know it."""
    text = orjson.dumps(captured(LOST_ASSIGNMENT)[:3])
    assert text.count(b'"conversationRev":4') == 1
    events = orjson.loads(text.replace(b'"conversationRev":4', b'"conversationRev":%d' % knew))
    lines = asyncio.run(_lines(events, events[1:], policy))
    return explain(_CONVERSATION, None, logged(tmp_path, lines, _CONVERSATION))


@pytest.mark.parametrize("policy", [PolicyInUse.LEGACY, PolicyInUse.SHADOW])
def test_the_lost_assignment_is_named_with_its_rule_policy_event_and_what_it_overwrote(
    policy: PolicyInUse, tmp_path: Path
) -> None:
    explanation = _lost(tmp_path, policy)
    answer = explanation.answer
    assert answer.text == (
        f"agent {_AGENT} was un-assigned from the conversation at 2022-03-02T19:13:26.447Z by rule A3 (policy legacy), "
        "because event 621fc1d602c244191d87453b (kustomer.work-item.update, work-item 2 by client routing-worker); "
        "written as conversation 7; it overwrote the assignment by workflow (conversation 6) of 60 ms before, "
        "which the write that it carried did not know"
    )
    assert (answer.kind, answer.agents, answer.rule, answer.policy) == ("unassigned", (_AGENT,), "A3", "legacy")
    assert answer.trace_id == captured(LOST_ASSIGNMENT)[1]["dd"]["trace_id"]


def test_policy_causal_takes_nothing_from_the_agent(tmp_path: Path) -> None:
    answer = _lost(tmp_path, PolicyInUse.CAUSAL).answer
    assert answer.text.startswith(f"nobody was un-assigned; agent {_AGENT} was assigned to work-item ")
    assert answer.lost is None


def test_a_work_item_that_knew_the_assignment_overwrote_nothing(tmp_path: Path) -> None:
    """The near-miss: the same lines, and the write knew the conversation that it un-assigned."""
    explanation = _lost(tmp_path, PolicyInUse.LEGACY, knew=6)
    assert explanation.answer.kind == "unassigned"
    assert explanation.answer.lost is None


def test_without_the_line_of_a_revision_between_nothing_is_said_to_be_lost(tmp_path: Path) -> None:
    lines = asyncio.run(_lines(captured(LOST_ASSIGNMENT)[:3], captured(LOST_ASSIGNMENT)[1:3], PolicyInUse.LEGACY))
    for line in lines:
        if line["workItemRev"] == 2:
            line["workItemRev"] = 3
    answer = explain(_CONVERSATION, None, logged(tmp_path, lines, _CONVERSATION)).answer
    assert answer.kind == "unassigned"
    assert answer.lost is None


@pytest.mark.parametrize("policy", [PolicyInUse.LEGACY, PolicyInUse.CAUSAL])
def test_the_unassignment_without_a_queue_is_named(policy: PolicyInUse, tmp_path: Path) -> None:
    of = "60277f53d72347298d9446cb"
    events = captured(UNASSIGN_WITHOUT_QUEUE)
    lines = asyncio.run(_lines(events, events[4:], policy))
    answer = explain(of, None, logged(tmp_path, lines, of)).answer
    assert answer.text.startswith(
        "agent 5f7d064afcc10579957f9217 was un-assigned from work-item 60277f56264a9600131673d4 at "
    )
    assert f"by rule B3 (policy {policy.value}), because event 60277f5ce214f788c3b64830" in answer.text
    assert "(kustomer.conversation.update, conversation 19 by client api)" in answer.text


def test_the_order_of_a_findings_evidence_does_not_matter() -> None:
    """The pages cite the evidence in an order for readers."""
    folder = Path(__file__).parents[3] / "fixtures/captured" / LOST_ASSIGNMENT
    timeline = explain(_CONVERSATION, None, read(*sorted(folder.glob("*.ndjson")))).timeline
    sync = next(each for each in timeline.entries if each.is_sync)
    there = lost_update(timeline, sync, None, is_of_assignee=True)
    assert there is not None
    assert there.number == 1
    (finding, *rest) = timeline.findings
    for turned in (tuple(reversed(finding.evidence)), finding.evidence[1:] + finding.evidence[:1]):
        findings = (replace(finding, evidence=turned), *rest)
        assert lost_update(replace(timeline, findings=findings), sync, None, is_of_assignee=True) == there
    for short in ((), finding.evidence[:1]):
        findings = (replace(finding, evidence=short),)
        assert lost_update(replace(timeline, findings=findings), sync, None, is_of_assignee=True) is None
