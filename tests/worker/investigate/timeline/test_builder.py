"""The timeline as data: order, what each write changed, gaps, durations, and which sync answers which write."""

from itertools import permutations
from typing import Final

import msgspec

from tests.handlers.wire_events import LOST_ASSIGNMENT, UNASSIGN_WITHOUT_QUEUE, conversation, event
from tests.worker.investigate.timeline.pair_story import (
    PairStory,
    audit,
    entry,
    incident_audits,
    incident_entries,
    incident_timeline,
)
from tests.worker.replay.replays import AGENT_2022, CONVERSATION_2022, ITEM_2021, QUEUE_2021
from worker.investigate.timeline.builder import build_timeline
from worker.investigate.timeline.entry import AuditEntry, ChangedValue, TimelineEntry
from worker.investigate.timeline.timeline import AnswerBasis, EntryKey, RevisionGap, Timeline

CONVERSATION: Final = "conversation"


def labels(timeline: Timeline) -> list[str]:
    return [each.label for each in timeline.entries]


def test_the_lost_assignment_revision_by_revision() -> None:
    timeline = incident_timeline(LOST_ASSIGNMENT)
    assert labels(timeline) == ["work-item 1", "work-item 2", "conversation 6", "conversation 7"]
    *_, assigned, emptied = timeline.entries
    assert ChangedValue(name="assignedUsers", before=[], after=[AGENT_2022]) in (assigned.changes or ())
    assert (assigned.client, assigned.is_sync, emptied.client, emptied.is_sync) == (
        "workflow",
        False,
        "routing-worker",
        True,
    )
    assert timeline.entries[1].known_conversation_rev == 4
    (answer,) = timeline.answers
    assert answer.sync == EntryKey(side=CONVERSATION, document_id=CONVERSATION_2022, rev=7)
    assert answer.cause is not None
    assert (answer.cause.side, answer.cause.rev, answer.basis) == ("work-item", 2, AnswerBasis.INFERRED)
    assert answer.conversation_rev == 6
    assert [timeline.audits[place].is_own for place in answer.audits] == [False]


def test_the_unassignment_without_a_queue_revision_by_revision() -> None:
    timeline = incident_timeline(UNASSIGN_WITHOUT_QUEUE)
    assert labels(timeline) == [f"work-item {rev}" for rev in range(1, 6)] + ["conversation 19"]
    assert [each.ms for each in timeline.stays if each.document_id == ITEM_2021] == [3965, 277, 234, 292, None]
    assert [each.exact for each in timeline.stays] == [False, True, True, True, True, False]
    (gap,) = timeline.gaps
    assert (gap.first, gap.last, gap.leading) == (1, 18, True)
    queued = timeline.entries[2]
    assert ChangedValue(name="queue", before=None, after=QUEUE_2021) in (queued.changes or ())
    assert queued.before is not None
    assert queued.before.queue is None


def test_any_order_and_repetitions_make_the_same_timeline() -> None:
    entries, audits = incident_entries(LOST_ASSIGNMENT), incident_audits(LOST_ASSIGNMENT)
    expected = incident_timeline(LOST_ASSIGNMENT)
    for order in permutations(entries):
        found = build_timeline(CONVERSATION_2022, [*order, order[0]], audits * 2)
        assert found.duplicates == 1
        assert msgspec.structs.replace(found, duplicates=0) == expected


def test_an_entry_and_an_audit_line_survive_packing() -> None:
    for each in incident_entries(UNASSIGN_WITHOUT_QUEUE):
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(each), type=TimelineEntry) == each
    (line,) = incident_audits(LOST_ASSIGNMENT)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(line), type=AuditEntry) == line


def test_a_work_items_write_stands_after_what_it_knew_whatever_the_clocks_say() -> None:
    story = PairStory().conversation(0).conversation(9, queue="q-1").item(1, knew=2).item(3, queue="q-1")
    assert labels(story.timeline()) == ["conversation 1", "conversation 2", "work-item 1", "work-item 2"]


def test_missing_revisions_are_told_and_break_a_duration() -> None:
    story = PairStory(first_conversation_rev=3).conversation(0).conversation(5, skip=2).conversation(9, status="done")
    timeline = story.timeline()
    assert timeline.gaps == (
        RevisionGap(side=CONVERSATION, document_id="c-1", first=1, last=2, leading=True),
        RevisionGap(side=CONVERSATION, document_id="c-1", first=4, last=5, leading=False),
    )
    opened, done = timeline.stays
    assert (opened.status, opened.entered_at, opened.ms, opened.exact) == ("open", None, None, False)
    assert (done.status, done.left_at, done.exact) == ("done", None, False)


def test_an_update_that_does_not_say_what_it_changed_is_compared_with_the_revision_before() -> None:
    events = [event(conversation(1, queue="q-1")), event(conversation(2, queue="q-2", users=("u-1",)), changes=None)]
    _, told = build_timeline("c-1", map(entry, events)).entries
    assert told.changes == (
        ChangedValue(name="assignedUsers", before=[], after=["u-1"]),
        ChangedValue(name="queue", before="q-1", after="q-2"),
    )
    assert sorted(told.changed_fields or ()) == ["assignee", "queue"]
    (alone,) = build_timeline("c-1", [entry(events[1])]).entries
    assert (alone.changes, alone.changed_fields, alone.before) == (None, None, None)


def test_two_states_of_one_revision_are_told() -> None:
    timeline = build_timeline(
        "c-1", [entry(event(conversation(2))), entry(event(conversation(2, queue="q-1"), id="other"))]
    )
    assert len(timeline.entries) == 1
    assert "conversation c-1 revision 2" in timeline.contradictions[0]


def test_the_audit_line_of_a_sync_names_its_cause() -> None:
    story = PairStory().conversation(0).item(1, knew=1).item(2, queue="q-1", status="queued", knew=1, id="cause")
    story.item(3, paused=True).conversation(4, queue="q-1", sync=True)
    line = audit(
        outcome="applied",
        event={"id": "cause", "rev": 2},
        updatedConversation={"queue": {"id": "q-1"}, "rev": 1},
        conversationRev=1,
        workItemRev=3,
    )
    (answer,) = story.timeline(line).answers
    assert (answer.basis, answer.conversation_rev, answer.work_item_rev) == (AnswerBasis.AUDIT, 1, 3)
    assert answer.cause == EntryKey(side="work-item", document_id="w-1", rev=2)
    (elsewhere,) = story.timeline(msgspec.structs.replace(line, event_id="not captured")).answers
    assert (elsewhere.cause, elsewhere.basis) == (None, AnswerBasis.AUDIT)


def test_a_trace_id_joins_a_sync_and_its_cause() -> None:
    story = PairStory().conversation(0).item(1, knew=1).item(2, queue="q-1", status="queued")
    story.item(3, queue="q-2").conversation(4, queue="q-1", sync=True)
    *_, cause, _, sync = story.events
    cause["dd"] = sync["dd"] = {"trace_id": "77", "span_id": "1"}
    (answer,) = story.timeline().answers
    assert (answer.basis, answer.cause) == (
        AnswerBasis.TRACE,
        EntryKey(side="work-item", document_id="w-1", rev=2),
    )
    del cause["dd"]
    (inferred,) = story.timeline().answers
    assert inferred == msgspec.structs.replace(answer, basis=AnswerBasis.INFERRED)


def test_a_sync_whose_values_no_write_has_answers_nothing_that_is_captured() -> None:
    story = PairStory().conversation(0).item(1, knew=1, queue="q-1").conversation(4, queue="q-9", sync=True)
    (answer,) = story.timeline().answers
    assert (answer.cause, answer.basis) == (None, None)
