"""The JSON of a timeline in parts: the same text as the whole, without ever holding the whole."""

import json
import tracemalloc
from typing import Final

import pytest

from tests.handlers.wire_events import LOST_ASSIGNMENT, UNASSIGN_WITHOUT_QUEUE
from tests.worker.investigate.timeline.pair_story import PairStory, incident_timeline
from worker.investigate.timeline.builder import build_timeline
from worker.investigate.timeline.timeline import Timeline
from worker.investigate.timeline.wire import timeline_json, timeline_wire

_OVERRIDE: Final = "\u202e"


def whole(timeline: Timeline) -> str:
    return json.dumps({"timeline": timeline_wire(timeline)}, separators=(",", ":"))


@pytest.mark.parametrize("incident", [LOST_ASSIGNMENT, UNASSIGN_WITHOUT_QUEUE])
def test_the_parts_are_the_whole(incident: str) -> None:
    timeline = incident_timeline(incident)
    assert "".join(timeline_json(timeline)) == whole(timeline)


def test_an_empty_timeline_is_whole_too() -> None:
    timeline = build_timeline("c-1", ())
    assert "".join(timeline_json(timeline)) == whole(timeline)


def test_a_captured_text_that_steers_a_terminal_is_escaped() -> None:
    text = "".join(timeline_json(build_timeline(f"c-1{_OVERRIDE}\x9b", ())))
    assert text.isascii()
    assert json.loads(text)["timeline"]["conversationId"] == f"c-1{_OVERRIDE}\x9b"


def test_no_more_than_one_revision_is_held_while_a_long_timeline_is_written() -> None:
    story = PairStory()
    for second in range(1_000):
        story.conversation(second, status="open" if second % 2 else "snoozed")
    timeline = story.timeline()
    written, peaks_bytes = 0, []
    # What caches and other tests' threads take counts too, but not every time.
    for _ in range(3):
        tracemalloc.start()
        written = sum(map(len, timeline_json(timeline)))
        peaks_bytes.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert min(peaks_bytes) < written / 10
