"""The other kinds: for each the smallest capture that shows it, and one that nearly does."""

from typing import Any, Final

import pytest

from tests.handlers.wire_events import UNASSIGN_WITHOUT_QUEUE, captured
from tests.worker.investigate.timeline.pair_story import PairStory, entry, incident_timeline
from tests.worker.replay.replays import CONVERSATION_2021, QUEUE_2021
from worker.investigate.report.drawing import draw
from worker.investigate.timeline.builder import build_timeline
from worker.investigate.timeline.markdown import markdown_lines
from worker.investigate.timeline.timeline import FindingKind, Timeline, TimelineFinding

KINDS: Final = FindingKind
AGENT_2021: Final = "5f7d064afcc10579957f9217"


def of(timeline: Timeline, kind: FindingKind) -> list[TimelineFinding]:
    return [each for each in timeline.findings if each.kind is kind]


def texts(timeline: Timeline, kind: FindingKind) -> str:
    return "\n".join(each.text for each in of(timeline, kind))


def test_the_incident_of_2021_names_its_cause() -> None:
    timeline = incident_timeline(UNASSIGN_WITHOUT_QUEUE)
    assert [(each.kind, each.field) for each in timeline.findings] == [
        (KINDS.ASSIGNED_WITHOUT_QUEUE, "queue"),
        (KINDS.OUT_OF_STEP, "assignee"),
        (KINDS.OUT_OF_STEP, "queue"),
        (KINDS.BOUNCE, "queue"),
    ]
    (assigned,) = of(timeline, KINDS.ASSIGNED_WITHOUT_QUEUE)
    assert assigned.text == (
        f"work-item 5 (sync) is assigned to {AGENT_2021} and has no queue, to the end of the capture 942 ms later. "
        f"work-item 4 (sync) had taken its queue {QUEUE_2021}. The predecessor's queue command and the legacy funnel "
        "cannot un-assign a work-item without a queue, which conversation 19 by api asks for."
    )
    assert [(each.side, each.rev) for each in assigned.evidence] == [
        ("work-item", 5),
        ("work-item", 4),
        ("conversation", 19),
    ]
    unsynced = timeline.findings[1]
    assert "out of step in assignee since conversation 19 by api" in unsynced.text
    assert unsynced.text.endswith("No captured sync answers conversation 19.")
    assert unsynced.missing[0].startswith("what follows conversation 19: the capture ends 225 ms after it")


def test_the_incident_of_2021_gives_no_verdict_on_who_was_right_about_the_queue() -> None:
    (question,) = incident_timeline(UNASSIGN_WITHOUT_QUEUE).questions
    assert question.kind is KINDS.UPDATE_LOST
    assert question.missing == ("conversation revisions 1 to 18, one of which may have changed queue",)


def test_the_incident_of_2021_without_the_conversations_queue() -> None:
    """The conversation's queue is an assumption of the fixture."""
    events = captured(UNASSIGN_WITHOUT_QUEUE)
    del events[-1]["body"]["body"]["data"]["relationships"]["queue"]
    timeline = build_timeline(CONVERSATION_2021, map(entry, events))
    assert [(each.kind, each.field) for each in timeline.findings] == [
        (KINDS.ASSIGNED_WITHOUT_QUEUE, "queue"),
        (KINDS.OUT_OF_STEP, "assignee"),
        (KINDS.BOUNCE, "queue"),
    ]


def in_step() -> PairStory:
    return PairStory().conversation(0, queue="q-1").item(1, knew=1, status="queued", queue="q-1")


def test_a_pair_that_stays_out_of_step_is_found_and_one_that_is_answered_in_time_is_not() -> None:
    late = in_step().conversation(2, queue="q-2").item(30, queue="q-2", sync=True).timeline()
    (finding,) = late.findings
    assert (finding.kind, finding.field, finding.missing) == (KINDS.OUT_OF_STEP, "queue", ())
    assert "for 28.0 s, until work-item 2 (sync)" in finding.text
    assert in_step().conversation(2, queue="q-2").item(12, queue="q-2", sync=True).timeline().findings == ()


def test_a_pair_that_is_out_of_step_at_the_end_says_how_much_follows() -> None:
    (short,) = in_step().conversation(2, queue="q-2").timeline(until=4).findings
    assert "the capture ends 2.0 s after it" in short.missing[0]
    (long,) = in_step().conversation(2, queue="q-2").timeline(until=600).findings
    assert "to the end of the capture 9 min 58 s later. No captured sync answers conversation 2." in long.text
    assert long.missing == ()


def test_a_difference_that_no_rule_writes_is_not_out_of_step() -> None:
    # A conversation's queue and an ivr work-item that was never queued: B8 asks for it, A6 does not.
    story = PairStory().conversation(0, ended=True).item(1, knew=1).timeline(until=600)
    assert story.findings == ()


def test_revisions_that_are_missing_meanwhile_are_named() -> None:
    story = in_step().conversation(2, queue="q-2").conversation(20, skip=3).item(90, queue="q-2", sync=True)
    (finding,) = of(story.timeline(), KINDS.OUT_OF_STEP)
    assert finding.missing == ("conversation revisions 3 to 5, in which the records may have agreed",)


def test_a_new_work_item_begins_a_new_history() -> None:
    story = in_step().item(2, status="completed", assignedTo="u-1").conversation(3, status="done", sync=True)
    story.conversation(500, status="open").item(501, key="w-2", status="queued", queue="q-1", knew=3)
    assert of(story.timeline(until=900), KINDS.OUT_OF_STEP) == []


def test_a_work_item_that_is_assigned_without_a_queue_is_found_once_each_time() -> None:
    story = in_step().item(2, queue=None, status="ivr").item(3, assignedTo="u-1", status="assigned")
    story.item(4, paused=True).item(5, queue="q-1").item(6, queue=None)
    found = of(story.timeline(), KINDS.ASSIGNED_WITHOUT_QUEUE)
    assert [each.evidence[0].rev for each in found] == [3, 6]
    assert found[0].until is not None
    assert "work-item 2 by api had taken its queue q-1" in found[0].text


@pytest.mark.parametrize(
    "fields", [{"status": "assigned", "assignedTo": "u-1"}, {"status": "ivr", "queue": None}], ids=str
)
def test_a_work_item_with_a_queue_or_not_assigned_is_not(fields: dict[str, Any]) -> None:
    assert of(in_step().item(2, **fields).timeline(), KINDS.ASSIGNED_WITHOUT_QUEUE) == []


def test_an_assignment_without_a_queue_whose_past_is_missing_says_so() -> None:
    story = in_step().item(2, queue=None, status="ivr").item(3, assignedTo="u-1", status="assigned")
    del story.events[1:3]
    (found,) = of(story.timeline(), KINDS.ASSIGNED_WITHOUT_QUEUE)
    assert found.missing == ("work-item revisions 1 to 2",)
    assert "the capture does not show" in found.text


def test_a_completion_without_the_conversations_agent_is_found() -> None:
    story = in_step().conversation(2, assignedUsers=["u-1"]).conversation(3, status="done")
    timeline = story.item(4, status="completed", sync=True).timeline()
    (found,) = of(timeline, KINDS.COMPLETED_WITHOUT_AGENT)
    assert "its conversation was assigned to u-1 at conversation 3, by conversation 2 by api" in found.text
    assert [(each.side, each.rev) for each in found.evidence] == [
        ("work-item", 2),
        ("conversation", 3),
        ("conversation", 2),
    ]


def test_a_completion_with_its_agent_or_of_nobodys_conversation_is_not() -> None:
    with_agent = in_step().conversation(2, assignedUsers=["u-1"]).item(3, assignedTo="u-1", status="assigned")
    assert of(with_agent.item(4, status="completed").timeline(), KINDS.COMPLETED_WITHOUT_AGENT) == []
    nobody = in_step().conversation(2, status="done").item(3, status="completed", sync=True)
    assert of(nobody.timeline(), KINDS.COMPLETED_WITHOUT_AGENT) == []


def test_a_completion_whose_conversation_is_not_captured_gets_no_verdict() -> None:
    story = in_step().conversation(2, status="done").item(3, status="completed", sync=True)
    del story.events[0], story.events[1]
    (question,) = story.timeline().questions
    assert (question.kind, question.missing) == (
        KINDS.COMPLETED_WITHOUT_AGENT,
        ("the conversation's revisions before it",),
    )


def commanded(update: dict[str, Any], command: str, **after: Any) -> Timeline:
    reason = {
        "action": "UPDATE_COMMAND",
        "code": "WORK_ITEM_UPDATE_CMD",
        "meta": {"data": {**update, "rev": 1}, "commandName": command},
    }
    return in_step().item(2, routingReasons=[reason], **after).timeline()


@pytest.mark.parametrize(
    ("update", "command", "after", "dropped"),
    [
        (
            {"queue": {"id": "q-2"}, "assignedTo": "u-1"},
            "queueCommandParams",
            {"queue": "q-2"},
            "assignedTo: assignedTo should be u-1, is none",
        ),
        (
            {"assignedTo": None, "status": "completed"},
            "queueCommandParams",
            {},
            "status should be completed, is queued",
        ),
        ({"paused": True, "status": "wrap-up"}, "wrapUpCommandParams", {"status": "wrap-up"}, "paused should be true"),
        ({"queue": "q-2", "accepted": {"by": "u-1"}}, "queueCommandParams", {"queue": "q-2"}, "accepted was asked for"),
        ({"queue.id": None, "paused": True}, "dequeueCommandParams", {"queue": None, "status": "ivr"}, "paused"),
    ],
)
def test_a_field_that_a_command_dropped_is_found(
    update: dict[str, Any], command: str, after: dict[str, Any], dropped: str
) -> None:
    (found,) = of(commanded(update, command, **after), KINDS.FIELDS_DROPPED)
    assert dropped in found.text
    assert f"the command {command} dropped" in found.text


@pytest.mark.parametrize(
    ("update", "after"),
    [
        ({"queue": {"id": "q-2", "rule": "r"}, "assignedTo": None}, {"queue": "q-2"}),
        ({"queue": {"key": "chat"}}, {"queue": "q-2"}),
        ({"status": "complete", "assignedTo": "u-1"}, {"status": "completed", "assignedTo": "u-1"}),
        ({"accepted": {"by": "u-1"}, "paused": True}, {"status": "assigned", "assignedTo": "u-1", "paused": True}),
        ({"assignedTo": 7, "queue": [], "status": {}, "paused": "no"}, {}),
    ],
)
def test_an_update_that_was_carried_out_is_not(update: dict[str, Any], after: dict[str, Any]) -> None:
    assert of(commanded(update, "assignCommandParams", **after), KINDS.FIELDS_DROPPED) == []


def test_a_field_that_goes_away_and_back_by_a_sync_bounced() -> None:
    story = in_step().conversation(2, assignedUsers=["u-1"]).conversation(3, assignedUsers=[], sync=True)
    story.conversation(4, assignedUsers=["u-1"], client="app")
    (found,) = of(story.timeline(), KINDS.BOUNCE)
    assert [(each.rev, each.role) for each in found.evidence] == [(2, "away"), (3, "back"), (4, "away")]
    assert "within 2.0 s: conversation 2 by api to u-1, conversation 3 (sync) to nobody" in found.text


def test_a_long_bounce_names_its_first_changes_and_its_last() -> None:
    story = in_step()
    for number in range(30):
        story.conversation(2 + number, assignedUsers=["u-1"] if number % 2 == 0 else [], sync=number % 2 == 1)
    (found,) = of(story.timeline(), KINDS.BOUNCE)
    assert [each.rev for each in found.evidence] == [2, 3, 4, 5, 6, 7, 8, 9, 31]
    assert found.evidence[-1].role == "back"
    assert "(30 times, the first and the last are named)" in found.text


def test_many_missing_runs_are_counted() -> None:
    story = in_step().conversation(2, queue="q-2")
    for number in range(9):
        story.conversation(3 + number, skip=1)
    (found,) = of(story.item(90, queue="q-2", sync=True).timeline(), KINDS.OUT_OF_STEP)
    assert found.missing == (
        "conversation revisions 3, 5, 7, 9, 11 and 4 more runs, in which the records may have agreed",
    )


def test_a_slow_return_another_value_and_one_service_that_changes_its_mind_are_no_bounce() -> None:
    slow = in_step().conversation(2, assignedUsers=["u-1"]).conversation(90, assignedUsers=[], sync=True)
    other = in_step().conversation(2, queue="q-2").conversation(3, queue="q-3", sync=True)
    mind = in_step().conversation(2, assignedUsers=["u-1"]).conversation(3, assignedUsers=[])
    ended = in_step().item(2, status="wrap-up", assignedTo="u-1").item(3, status="completed", sync=True)
    for story in (slow, other, mind, ended):
        assert of(story.timeline(), KINDS.BOUNCE) == []
    fight = in_step().conversation(2, assignedUsers=["u-1"], client="a").conversation(3, assignedUsers=[], client="b")
    assert len(of(fight.timeline(), KINDS.BOUNCE)) == 1


def test_the_work_item_of_a_deleted_conversation_is_completed_and_nothing_else() -> None:
    """Rule B9 does not wait for the assignment."""
    story = PairStory().conversation(0).item(1, knew=1).conversation(2, assignedUsers=["u-1"])
    story.conversation(3).item(4, status="completed", sync=True, knew=4)
    events = [
        {**each, "name": "kustomer.conversation.delete"} if number == 3 else each
        for number, each in enumerate(story.events)
    ]
    story.events = events
    assert [each.kind for each in story.timeline().findings if each.kind is FindingKind.COMPLETED_WITHOUT_AGENT] == []


def test_a_finding_of_a_pair_with_several_work_items_names_the_work_item() -> None:
    story = in_step().conversation(300, status="done").item(301, sync=True, status="completed")
    story.item(310, key="w-2", status="assigned", assignedTo="u-1", knew=3)
    found = of(story.timeline(until=900), FindingKind.ASSIGNED_WITHOUT_QUEUE)
    assert found[0].text.startswith("work-item 1 of w-2 by api is assigned to u-1 and has no queue")
    timeline = story.item(320, key="w-2", skip=2, queue="q-1", knew=3).timeline(until=900)
    assert "missing: work-item revisions 2 to 3 of w-2" in "\n".join(
        f"missing: {each}" for finding in timeline.findings for each in finding.missing
    )


def test_words_and_drawing_name_the_work_item_where_the_pair_has_several() -> None:
    story = in_step().item(310, key="w-2", status="assigned", assignedTo="u-1", knew=2)
    timeline = story.timeline(until=900)
    lines = "\n".join(markdown_lines(timeline))
    assert "work-item 1 of w-2: assigned, and no queue" in lines
    assert "(revision 1 of w-2)" in lines
    drawing = draw(timeline, steps_max=10)
    assert [step.title for step in drawing.steps][-1] == "work-item 1 of w-2"
    one = in_step().timeline()
    assert [step.title for step in draw(one, steps_max=10).steps] == [f"{each.side} {each.rev}" for each in one.entries]
