"""Captures to pairs: what is kept, what is passed over, what cannot be read, and texts that cannot steer a terminal."""

import json
import os
from pathlib import Path
from typing import Any, Final

import pytest

from tests.handlers.wire_events import Json, conversation, event, log_line, notification, published, queued, text
from tests.worker.investigate.timeline.pair_story import PairStory
from worker.captures import Capture
from worker.investigate.timeline.captured_pairs import CapturedPairs, FindingCounts
from worker.investigate.timeline.markdown import markdown_lines
from worker.investigate.timeline.timeline import FindingKind
from worker.investigate.timeline.wire import summary_wire, timeline_wire

AUDIT: Final = {"msg": "CONVERSATION_SYNC_AUDIT", "conversationId": "c-1", "time": 1715000000000}
STEERING: Final = "\x1b[2J\x9b1m\u202e|<b>@all`x`[a](http://b)\n# c"


def pairs_of(*values: Any, conversation_id: str | None = None) -> tuple[CapturedPairs, list[str]]:
    """The pairs of a capture with these values, and its faults."""
    pairs = CapturedPairs(conversation_id)
    faults = [
        str(fault)
        for line, value in enumerate(values, start=1)
        if (fault := pairs.add(Capture(file="events.ndjson", line=line, text=json.dumps(value)))) is not None
    ]
    return pairs, faults


def test_all_five_shapes_and_audit_lines_are_read() -> None:
    events = PairStory().conversation(0).conversation(1, queue="q-1").item(2, knew=2).events
    wrapped = [events[0], published(events[1]), log_line(published(events[2]))]
    again = [notification(published(events[1])), queued(text(notification(published(events[0]))))]
    pairs, faults = pairs_of(*wrapped, *again, AUDIT)
    assert faults == []
    (timeline,) = pairs.timelines()
    assert [each.label for each in timeline.entries] == ["conversation 1", "conversation 2", "work-item 1"]
    assert (timeline.duplicates, len(timeline.audits), pairs.events) == (2, 1, 5)
    assert timeline.audits[0].at is not None
    assert {each.file for each in timeline.entries} == {"events.ndjson"}


def test_other_log_lines_and_events_are_passed_over_and_damage_is_reported() -> None:
    other = {"level": "info", "msg": "worker started", "policy": "causal"}
    unsupported = {**event(conversation(1)), "name": "kustomer.customer.update", "data": {"type": "customer"}}
    broken = event({**conversation(2), "attributes": {"rev": "two"}})
    pairs, faults = pairs_of(other, unsupported, broken, {"level": "info"}, {"msg": "CONVERSATION_SYNC_AUDIT"})
    assert pairs.passed_over == 2
    assert [fault.split(" ")[0] for fault in faults] == ["events.ndjson:3:", "events.ndjson:4:", "events.ndjson:5:"]
    assert list(pairs.timelines()) == []


def test_one_conversation_is_kept_of_many_and_the_capture_ends_with_all() -> None:
    mine = PairStory().conversation(0).events
    others = [event(conversation(1, key=f"c-{number}"), at=number) for number in range(2, 9)]
    pairs, _ = pairs_of(*mine, *others, conversation_id="c-1")
    (timeline,) = pairs.timelines()
    assert (timeline.conversation_id, pairs.events) == ("c-1", 1)
    assert timeline.captured_until is not None
    (alone,) = pairs_of(*mine)[0].timelines()
    assert alone.captured_until != timeline.captured_until


def test_a_work_items_id_names_its_conversation() -> None:
    pairs, _ = pairs_of(*PairStory().conversation(0).item(1, knew=1).events, conversation_id="w-1")
    assert pairs.conversations == []
    assert pairs.owner_of("w-1") == "c-1"


def test_the_json_holds_every_part_and_only_json() -> None:
    story = PairStory().conversation(0, queue="q-1").item(1, knew=1, queue="q-1", status="queued")
    story.conversation(2, skip=1, assignedUsers=["u-1"]).conversation(3, assignedUsers=[], sync=True)
    pairs, _ = pairs_of(*story.events)
    (timeline,) = pairs.timelines()
    wire = timeline_wire(timeline)
    assert json.loads(json.dumps(wire)) == wire
    assert wire["version"] == 1
    assert wire["entries"][2]["changes"] == [{"name": "assignedUsers", "before": [], "after": ["u-1"]}]
    assert wire["entries"][3]["before"]["assignees"] == ["u-1"]
    assert wire["gaps"] == [{"side": "conversation", "id": "c-1", "first": 2, "last": 2, "leading": False}]
    assert wire["findings"][0]["kind"] == FindingKind.UPDATE_LOST
    assert wire["findings"][0]["evidence"][0]["eventId"] == "event-c-1-3-update"
    assert wire["answers"][0]["cause"] == {"side": "work-item", "id": "w-1", "rev": 1}
    counts = FindingCounts()
    counts.add(timeline)
    summary = summary_wire(pairs, counts)
    assert summary["findings"][FindingKind.UPDATE_LOST] == 1
    assert (summary["pairs"], summary["events"], summary["unreadable"]) == (1, 4, 0)


def steering_events() -> list[Json]:
    story = PairStory().conversation(0, client=STEERING, id=STEERING, queue=STEERING)
    reason = {"action": STEERING, "code": STEERING, "meta": {"data": {"status": STEERING}, "commandName": STEERING}}
    return story.item(1, queue=STEERING, knew=1).item(2, queue=None, routingReasons=[reason]).events


def test_equal_parts_of_a_long_pair_are_one_object() -> None:
    story = PairStory()
    for at in range(6):
        story.conversation(at, status="open" if at % 2 else "snoozed")
    audits = [{**AUDIT, "event": {"id": f"e-{number}"}, "before": {"status": "open"}} for number in range(2)]
    (timeline,) = pairs_of(*story.events, *audits)[0].timelines()
    second, third, fourth = timeline.entries[1:4]
    assert fourth.state is second.state is third.before
    assert fourth.changes is second.changes
    assert fourth.changed_fields is second.changed_fields
    assert timeline.audits[0].before is timeline.audits[1].before


def test_what_a_capture_says_becomes_no_markup_of_a_ticket() -> None:
    (timeline,) = pairs_of(*steering_events())[0].timelines()
    lines = list(markdown_lines(timeline))
    assert all(line.isprintable() for line in lines)
    document = "\n".join(lines)
    assert "\\\\x1b\\[2J" in document
    for markup in ("<b>", "@all", "[a](", "http://"):
        assert markup not in document
    rows = [line for line in lines if line.startswith("| 2024")]
    assert len(rows) == 3
    assert all(line.replace("\\|", "").count("|") == 5 for line in rows)


def test_customers_words_are_named_and_not_shown() -> None:
    update = event(conversation(2), changes={"attributes": {"preview": {"before": "", "after": "my secret"}}})
    (timeline,) = pairs_of(update)[0].timelines()
    assert timeline.entries[0].other_changes == ("preview",)
    assert "my secret" not in json.dumps(timeline_wire(timeline)) + "".join(markdown_lines(timeline))


@pytest.mark.parametrize("value", [{"data": 7}, 7, ["a"], {"id": 7}, "x" * 9_000])
def test_values_of_an_unknown_form_are_kept_small_and_take_nothing_back(value: Any) -> None:
    update = event(conversation(2, queue="q-1"), changes={"relationships": {"queue": {"before": value, "after": None}}})
    (timeline,) = pairs_of(update)[0].timelines()
    (entry,) = timeline.entries
    assert (entry.before is None) is not isinstance(value, str)
    assert len(json.dumps(timeline_wire(timeline))) < 5_000


def test_a_files_name_may_be_no_unicode(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9.ndjson")
    path.write_text("".join(json.dumps(each) + "\n" for each in (*PairStory().conversation(0).events, AUDIT)))
    pairs = CapturedPairs()
    pairs.read([path], print_error=print, advance=lambda: None)
    (timeline,) = pairs.timelines()
    assert timeline.entries[0].file.endswith("caf\\udce9.ndjson")
    assert timeline.audits[0].file == timeline.entries[0].file


def test_a_file_that_cannot_be_read_is_a_fault(tmp_path: Path) -> None:
    errors: list[str] = []
    pairs = CapturedPairs()
    pairs.read([tmp_path / "none.ndjson"], print_error=errors.append, advance=lambda: None)
    assert pairs.faults == 1
    assert "cannot be read" in errors[0]
