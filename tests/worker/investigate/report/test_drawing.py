"""The drawing of a timeline: its rows, its lines, its marks."""

from itertools import pairwise

import pytest

from sync.gates import Side
from tests.handlers.wire_events import LOST_ASSIGNMENT, UNASSIGN_WITHOUT_QUEUE
from tests.worker.investigate.timeline.pair_story import PairStory, incident_timeline
from worker.investigate.report.drawing import Drawing, draw
from worker.investigate.report.tracks import TRACKS, Line
from worker.investigate.timeline.builder import build_timeline

EDGES: dict[Side, int] = {"conversation": 0, "work-item": 100}


def drawn_story(answered: int) -> Drawing:
    """So many agents are assigned one after another, and each assignment is answered by a sync only after the last."""
    story = PairStory()
    story.conversation(0).item(1)
    for number in range(answered):
        story.conversation(10 + number, assignedUsers=[f"u-{number}"], dd={"trace_id": f"t-{number}", "span_id": "1"})
    for number in range(answered):
        story.item(100 + number, sync=True, assignedTo=f"u-{number}", dd={"trace_id": f"t-{number}", "span_id": "1"})
    return draw(story.timeline(), steps_max=1_000)


def _ends(drawing: Drawing, number: int) -> tuple[list[int], list[Line]]:
    """The rows in which a line is drawn, and its parts."""
    rows = [row for row, step in enumerate(drawing.steps) if any(line.number == number for line in step.lines)]
    return rows, [line for row in rows for line in drawing.steps[row].lines if line.number == number]


def test_a_line_leads_from_the_write_to_its_sync_without_a_break() -> None:
    drawing = draw(incident_timeline(LOST_ASSIGNMENT), steps_max=1_000)
    rows, parts = _ends(drawing, 0)
    cause, sync = drawing.steps[rows[0]], drawing.steps[rows[-1]]
    assert rows == list(range(rows[0], rows[-1] + 1))
    assert sync.answers is not None
    assert (sync.answers.anchor, sync.title, cause.title) == (cause.anchor, "conversation 7", "work-item 2")
    assert parts[0].start == (EDGES[cause.side], 50)
    assert parts[-1].end == (EDGES[sync.side], 50)
    for above, below in pairwise(parts):
        assert (above.end[0], above.end[1], below.start[1]) == (below.start[0], 100, 0)


def test_the_lost_update_and_the_sync_that_overwrote_it_are_marked_with_its_line() -> None:
    drawing = draw(incident_timeline(LOST_ASSIGNMENT), steps_max=1_000)
    marks = {step.title: step.mark for step in drawing.steps}
    assert (marks["conversation 6"], marks["conversation 7"]) == ("lost", "overwrote")
    assert {line.lost for step in drawing.steps for line in step.lines} == {True}
    assert "1 update was lost" in drawing.summary
    other = draw(incident_timeline(UNASSIGN_WITHOUT_QUEUE), steps_max=1_000)
    assert not {step.mark for step in other.steps} & {"lost", "overwrote"}
    assert "no lost update is shown" in other.summary


def test_lines_of_one_time_run_side_by_side() -> None:
    drawing = drawn_story(TRACKS)
    [row] = [row for row, step in enumerate(drawing.steps) if step.is_sync][:1]
    passing = [line.start[0] for line in drawing.steps[row].lines]
    assert len(set(passing)) == TRACKS


@pytest.mark.parametrize("answered", [0, 1, TRACKS + 3])
def test_every_line_stays_between_the_lanes(answered: int) -> None:
    drawing = drawn_story(answered)
    parts = [line for step in drawing.steps for line in (*step.lines, *step.pause_lines)]
    assert all(0 <= x <= 100 for line in parts for x in (line.start[0], line.end[0]))
    assert len({line.number for line in parts}) == answered


def test_a_longer_pause_is_a_higher_row() -> None:
    steps = draw(
        PairStory().conversation(0).conversation(0.1).conversation(5).conversation(9_000).timeline(), steps_max=9
    ).steps
    assert [step.pause_step for step in steps] == [0, 0, 2, 6]
    assert [step.pause for step in steps] == ["", "", "4.9 s later", "2 h 29 min later"]


def test_what_is_not_drawn_is_counted_and_no_link_leads_to_it() -> None:
    timeline = incident_timeline(LOST_ASSIGNMENT)
    drawing = draw(timeline, steps_max=2)
    anchors = {step.anchor for step in drawing.steps}
    links = [link.anchor for finding in drawing.findings for _, link in finding.evidence]
    assert drawing.left_out == len(timeline.entries) - 2
    assert None in links
    assert {anchor for anchor in links if anchor is not None} <= anchors


def test_a_pair_of_which_nothing_is_drawn_is_no_pair_without_a_revision() -> None:
    timeline = incident_timeline(UNASSIGN_WITHOUT_QUEUE)
    drawing = draw(timeline, steps_max=0)
    assert drawing.summary == f"{len(timeline.entries)} revisions, none of them drawn"
    assert "Not looked for" not in drawing.no_findings


def test_a_pair_without_a_revision_is_drawn_empty() -> None:
    drawing = draw(build_timeline("c-1", ()), steps_max=10)
    assert (drawing.steps, drawing.tracks) == ((), 1)
    assert drawing.summary == "no revision is captured"
    assert drawing.no_findings.startswith("Not looked for")


def test_a_storm_of_syncs_draws_a_few_lines_in_each_row() -> None:
    """Nothing answers but one write, so every sync's line begins there."""
    story = PairStory().conversation(0).item(1, knew=1).item(2, knew=1, status="queued", queue="q-1")
    for number in range(200):
        story.conversation(3 + number, sync=True, queue=f"q-{1 + number % 2}")
    drawing = draw(story.timeline(), steps_max=1_000)
    assert sum(step.answers is not None for step in drawing.steps) == 100
    assert max(len(step.lines) for step in drawing.steps) <= 2 * TRACKS
    assert max(len(step.pause_lines) for step in drawing.steps) <= TRACKS
    # Each sync that answers has its own end.
    assert all(any(line.end == (0, 50) for line in step.lines) for step in drawing.steps if step.answers)
