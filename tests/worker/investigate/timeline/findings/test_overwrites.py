"""UPDATE_LOST and STALE_COMPARISON: the smallest captures that show them, and those that nearly do."""

from typing import Final

from tests.handlers.wire_events import LOST_ASSIGNMENT
from tests.worker.investigate.timeline.pair_story import PairStory, audit, incident_timeline
from tests.worker.replay.replays import AGENT_2022
from worker.investigate.timeline.timeline import FindingKind, Timeline

LOST: Final = FindingKind.UPDATE_LOST
STALE: Final = FindingKind.STALE_COMPARISON


def about_overwrites(timeline: Timeline) -> list[tuple[FindingKind, str | None]]:
    return [(each.kind, each.field) for each in timeline.findings if each.kind in (LOST, STALE)]


def questions(timeline: Timeline) -> list[tuple[str, ...]]:
    return [each.missing for each in timeline.questions if each.kind is LOST]


def assigned_then_queued(*, knew: int | None, queued_at: float = 3) -> PairStory:
    """A conversation is assigned at revision 2; a work-item is queued, unassigned, and a sync empties revision 2."""
    story = PairStory().conversation(0).item(1, knew=1)
    if queued_at < 2:
        story.item(queued_at, assignedTo="u-0").item(queued_at, status="queued", assignedTo=None, knew=knew)
        return story.conversation(2, assignedUsers=["u-1"]).conversation(4, assignedUsers=[], sync=True)
    story.conversation(2, assignedUsers=["u-1"]).item(3, assignedTo="u-0")
    story.item(queued_at, status="queued", assignedTo=None, knew=knew)
    return story.conversation(4, assignedUsers=[], sync=True)


def test_the_incident_of_2022_names_its_cause() -> None:
    timeline = incident_timeline(LOST_ASSIGNMENT)
    lost, stale, _ = timeline.findings
    assert [lost.kind, stale.kind] == [LOST, STALE]
    assert lost.text == (
        f"conversation 6 by workflow set assignee to {AGENT_2022}; conversation 7 (sync) set it to nobody 105 ms "
        "later. The update is lost: it answers work-item 2 by routing-worker, whose writer knew conversation 4, and "
        "conversation 6 by workflow had changed assignee since. Nothing in the capture restores it."
    )
    roles = {(each.side, each.rev): each.role for each in lost.evidence}
    assert roles == {
        ("conversation", 6): "changed assignee",
        ("conversation", 7): "overwrote it",
        ("work-item", 1): "last write of assignee on the other side",
        ("work-item", 2): "the write that the sync answers",
        (None, None): "audit line of conversation 7",
    }
    assert all(each.event_id for each in lost.evidence if each.side)
    assert timeline.questions == ()


def test_a_sync_of_a_work_item_that_did_not_know_the_conversations_write_loses_it() -> None:
    timeline = assigned_then_queued(knew=1).timeline()
    assert about_overwrites(timeline) == [(LOST, "assignee"), (STALE, "assignee")]
    assert "whose writer knew conversation 1" in timeline.findings[0].text
    assert timeline.findings[0].until is None


def test_a_work_item_that_knew_the_conversations_write_may_overwrite_it() -> None:
    timeline = assigned_then_queued(knew=2).timeline()
    assert about_overwrites(timeline) == []
    assert questions(timeline) == []


def test_a_work_item_that_does_not_say_what_it_knew_gets_no_verdict() -> None:
    timeline = assigned_then_queued(knew=None).timeline()
    assert about_overwrites(timeline) == []
    assert questions(timeline) == [("which conversation revision work-item 3 knew",)]


def test_a_work_items_write_before_the_conversations_cannot_have_known_it() -> None:
    timeline = assigned_then_queued(knew=None, queued_at=1.5).timeline()
    assert about_overwrites(timeline) == [(LOST, "assignee"), (STALE, "assignee")]
    assert "written 500 ms before conversation 2" in timeline.findings[0].text
    assert timeline.findings[0].missing == (
        "which conversation revision work-item 3 knew: the clocks of both writers tell",
    )


def test_a_work_item_revision_that_is_missing_leaves_it_open() -> None:
    story = PairStory().conversation(0).item(1, knew=1).item(1.5, assignedTo="u-0")
    story.item(1.6, status="queued", assignedTo=None, knew=1).conversation(2, assignedUsers=["u-1"])
    story.item(3, skip=1).conversation(4, assignedUsers=[], sync=True)
    timeline = story.timeline()
    assert about_overwrites(timeline) == []
    assert questions(timeline) == [("work-item revision 4",)]


def test_a_value_whose_write_is_missing_leaves_it_open() -> None:
    story = PairStory().conversation(0).item(1, knew=1).conversation(2, assignedUsers=["u-1"])
    story.conversation(3, assignedUsers=["u-2"]).conversation(4, assignedUsers=[], sync=True)
    del story.events[3]
    timeline = story.timeline()
    assert about_overwrites(timeline) == []
    assert questions(timeline) == [("conversation revision 3",)]


def test_an_update_that_is_restored_soon_is_not_lost_but_the_comparison_was_stale() -> None:
    story = assigned_then_queued(knew=1).conversation(5, assignedUsers=["u-1"])
    assert about_overwrites(story.timeline()) == [(STALE, "assignee")]
    late = assigned_then_queued(knew=1).conversation(500, assignedUsers=["u-1"]).timeline()
    assert about_overwrites(late) == [(LOST, "assignee"), (STALE, "assignee")]
    assert "conversation 4 by api restored it 8 min 16 s later." in late.findings[0].text


def test_another_value_later_ends_the_loss() -> None:
    timeline = assigned_then_queued(knew=1).conversation(9, assignedUsers=["u-3"]).timeline()
    lost = timeline.findings[0]
    assert (lost.kind, lost.until) == (LOST, timeline.entries[-1].at)
    assert "set it to u-3 5.0 s later" in lost.text


def requeued(*, knew: int | None, at: float = 3) -> PairStory:
    """The conversation's queue is q-1 at revision 2, the work-item's q-2 at its revision 2; a sync makes it q-1."""
    story = PairStory().conversation(0).item(1, knew=1, status="queued", queue="q-0")
    story.conversation(2, queue="q-1").item(at, queue="q-2", knew=knew)
    return story.item(4, queue="q-1", sync=True)


def test_a_sync_over_a_work_items_write_that_knew_the_conversation_loses_it() -> None:
    timeline = requeued(knew=2).timeline()
    assert about_overwrites(timeline) == [(LOST, "queue"), (STALE, "queue")]
    assert "work-item 2 by api knew conversation 2" in timeline.findings[0].text


def test_a_sync_over_a_work_items_write_that_did_not_know_the_conversation_is_right() -> None:
    assert about_overwrites(requeued(knew=1).timeline()) == []
    assert questions(requeued(knew=1).timeline()) == []
    assert questions(requeued(knew=None, at=1.5).timeline()) == []
    assert questions(requeued(knew=None).timeline()) == [("which conversation revision work-item 2 knew",)]


def test_a_value_that_comes_back_from_the_work_item_itself_is_stale() -> None:
    story = PairStory().conversation(0, queue="q-1").item(1, knew=1, status="queued", queue="q-1")
    story.item(2, queue=None, status="ivr").conversation(3, queue=None, sync=True)
    story.item(3.5, queue="q-2", status="queued").item(4, queue=None, status="ivr", sync=True)
    timeline = story.timeline()
    assert about_overwrites(timeline) == [(LOST, "queue"), (STALE, "queue")]
    assert "carries back queue of work-item 2 by api by way of conversation 2 (sync)" in timeline.findings[0].text


def test_the_revisions_that_are_missing_before_a_sync_leave_it_open() -> None:
    story = PairStory(first_conversation_rev=5).item(1, knew=1, status="queued", queue="q-1")
    story.item(2, queue="q-2").item(3, queue=None, status="ivr", sync=True).conversation(4)
    assert questions(story.timeline()) == [("conversation revisions 1 to 4, one of which may have changed queue",)]


def test_snoozing_and_closing_are_always_the_conversations() -> None:
    story = PairStory().conversation(0).item(1, knew=1, status="queued", queue="q-1")
    story.conversation(2, status="snoozed").item(2.5, paused=False, knew=2).item(3, paused=True, sync=True)
    story.conversation(4, status="done").item(5, status="completed", sync=True)
    assert about_overwrites(story.timeline()) == []


def compared(*, conversation_rev: int) -> PairStory:
    """A sync of the work-item that was decided on a conversation revision; revision 3 was written before it."""
    story = PairStory().conversation(0).item(1, knew=1, status="queued", queue="q-0")
    story.conversation(2, queue="q-1").conversation(3, queue="q-2")
    meta = {
        "commandName": "queueCommandParams",
        "data": {"queue": {"id": "q-1"}, "resource": {"rev": conversation_rev}},
    }
    reason = {"action": "UPDATE_COMMAND", "code": "WORK_ITEM_UPDATE_CMD", "meta": meta}
    return story.item(4, queue="q-1", sync=True, routingReasons=[reason])


def test_a_sync_that_names_an_outdated_revision_is_stale() -> None:
    timeline = compared(conversation_rev=2).timeline()
    assert about_overwrites(timeline) == [(STALE, "queue")]
    assert "was decided on conversation 2, and conversation 3 by api had set queue to q-2 1.0 s before" in (
        timeline.findings[0].text
    )
    # A clock that is behind would show the same of a sync that was right.
    assert timeline.findings[0].missing == (
        "whether conversation 3 was before work-item 2: the clocks of both writers tell",
    )


def test_a_sync_that_names_the_latest_revision_is_not() -> None:
    assert about_overwrites(compared(conversation_rev=3).timeline()) == []


def test_an_audit_line_says_on_which_work_item_the_sync_was_decided() -> None:
    story = PairStory().conversation(0).item(1, knew=1, status="queued", queue="q-0")
    story.item(2, queue="q-1").item(3, queue="q-2").conversation(4, queue="q-1", sync=True)
    line = {"outcome": "applied", "updatedConversation": {"queue": {"id": "q-1"}, "rev": 1}, "conversationRev": 1}
    assert about_overwrites(story.timeline(audit(**line, workItemRev=2))) == [(STALE, "queue")]
    assert about_overwrites(story.timeline(audit(**line, workItemRev=3))) == []
    assert about_overwrites(story.timeline()) == []


def test_a_completion_that_ends_a_wrap_up_writes_no_end_of_it() -> None:
    """Policy `causal` does both: B6 completes, and A1 closes a snoozed conversation."""
    story = PairStory().conversation(0).item(1, knew=1).item(2, status="wrap-up", knew=1).conversation(3, status="done")
    assert about_overwrites(story.item(4, sync=True, status="completed", knew=2).timeline()) == []


def test_a_conversation_that_is_closed_while_snoozed_loses_no_snooze() -> None:
    story = PairStory().conversation(0).item(1, knew=1).conversation(2, status="snoozed")
    story.item(3, status="completed", knew=2).conversation(4, sync=True, status="done")
    timeline = story.timeline()
    assert about_overwrites(timeline) == []
    assert [each.field for each in timeline.findings if each.kind is FindingKind.BOUNCE] == []


def test_a_work_item_that_was_never_queued_takes_no_queue_away() -> None:
    """Rule A6 of the predecessor did: queue rules were about to queue the work-item."""
    story = PairStory().conversation(0).conversation(1, queue="q-1").item(2, knew=2)
    timeline = story.conversation(3, queue=None, sync=True).timeline()
    assert about_overwrites(timeline) == [(LOST, "queue"), (STALE, "queue")]
    assert "work-item 1 was in ivr and never queued" in timeline.findings[0].text


def test_a_work_item_that_left_its_queue_knowingly_takes_it_away() -> None:
    story = PairStory().conversation(0).conversation(1, queue="q-1").item(2, knew=2)
    story.item(3, status="queued", queue="q-1", queuedCount=1, knew=2).item(4, status="ivr", queue=None, knew=2)
    assert about_overwrites(story.conversation(5, queue=None, sync=True).timeline()) == []


def test_a_work_item_that_was_assigned_without_a_queue_takes_the_queue_away() -> None:
    """By rule A6, under both policies: queue rules no longer look at it."""
    story = PairStory().conversation(0).conversation(1, queue="q-1").item(2, knew=2)
    story.item(3, status="assigned", assignedTo="u-1", knew=2)
    assert about_overwrites(story.conversation(4, queue=None, sync=True).timeline()) == []


def test_a_sync_by_the_rules_of_causal_looked_at_a_later_revision_of_the_work_item() -> None:
    """The clock of the work-item's owner is behind the sync's."""
    story = PairStory().conversation(0).conversation(1, queue="q-1").item(2, knew=2)
    reason = {"action": "SYNC_CONVERSATION", "code": "WORK_ITEM_QUEUE_REMOVED", "meta": {"policy": "causal"}}
    story.conversation(3, queue=None, sync=True, routingReasons=[reason]).item(4, status="assigned", assignedTo="u-1")
    assert about_overwrites(story.timeline()) == []
