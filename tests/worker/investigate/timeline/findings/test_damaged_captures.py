"""Captures with lines left out, in another order, twice, and mixed: a finding names the cause that the whole capture
names, or says what is missing."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import chain, combinations
from random import Random
from typing import Any, Final

import orjson
import pytest

from handlers.options import PolicyInUse
from tests.causality.simulation.run import Run
from tests.handlers.wire_events import LOST_ASSIGNMENT, UNASSIGN_WITHOUT_QUEUE, captured
from tests.worker.investigate.timeline.pair_story import (
    CONVERSATIONS,
    PairStory,
    entry,
    incident_audits,
    incident_entries,
    incident_timeline,
)
from tests.worker.investigate.timeline.test_simulated_histories import CALM
from worker.captures import Capture
from worker.investigate.timeline.builder import build_timeline
from worker.investigate.timeline.captured_pairs import CapturedPairs
from worker.investigate.timeline.entry import TimelineEntry
from worker.investigate.timeline.timeline import FindingKind, Timeline, TimelineFinding

INCIDENTS: Final = (LOST_ASSIGNMENT, UNASSIGN_WITHOUT_QUEUE)


def signature(finding: TimelineFinding) -> tuple[Any, ...]:
    """The kind, the field, and the two entries that it names first: the cause and what it did."""
    named = [(each.side, each.document_id, each.rev) for each in finding.evidence if each.side is not None]
    return (finding.kind, finding.field, *named[:2])


def unfounded(found: Timeline, whole: Timeline) -> list[str]:
    """The findings that the whole capture does not have, and that do not say what is missing."""
    known = {signature(each) for each in whole.findings}
    return [each.text for each in found.findings if signature(each) not in known and not each.missing]


def damaged(incident: str) -> Iterator[Timeline]:
    """The incident with every choice of its lines."""
    entries, audits = incident_entries(incident), incident_audits(incident)
    end = incident_timeline(incident).captured_until
    places = range(len(entries) + len(audits))
    for kept in chain.from_iterable(combinations(places, count) for count in places):
        yield build_timeline(
            CONVERSATIONS[incident],
            [entries[place] for place in kept if place < len(entries)],
            [audits[place - len(entries)] for place in kept if place >= len(entries)],
            captured_until=end,
        )


@pytest.mark.parametrize("incident", INCIDENTS)
def test_no_choice_of_lines_gives_another_verdict(incident: str) -> None:
    whole = incident_timeline(incident)
    assert [text for each in damaged(incident) for text in unfounded(each, whole)] == []


def test_the_lost_assignment_is_found_or_asked_about_wherever_both_writes_are_captured() -> None:
    for timeline in damaged(LOST_ASSIGNMENT):
        if {6, 7} <= {each.rev for each in timeline.entries if each.side == "conversation"}:
            kinds = {*(each.kind for each in timeline.findings), *(each.kind for each in timeline.questions)}
            assert FindingKind.UPDATE_LOST in kinds


@pytest.mark.parametrize("seed", range(5))
def test_both_incidents_mixed_in_any_order_and_with_repetitions_are_told_apart(seed: int) -> None:
    lines = [json.dumps(each) for incident in INCIDENTS for each in captured(incident)]
    Random(seed).shuffle(lines)
    pairs = CapturedPairs()
    for number, text in enumerate([*lines, *lines[:4]], start=1):
        assert pairs.add(Capture(file="mixed.ndjson", line=number, text=text)) is None
    timelines = {each.conversation_id: each for each in pairs.timelines()}
    for incident in INCIDENTS:
        found = timelines[CONVERSATIONS[incident]]
        whole = build_timeline(CONVERSATIONS[incident], incident_entries(incident))
        assert {*map(signature, found.findings)} == {*map(signature, whole.findings)}
    # The capture ends a year after the older incident, of which it has nothing then.
    older = timelines[CONVERSATIONS[UNASSIGN_WITHOUT_QUEUE]]
    assert all(
        "nothing of the pair is captured in the last 382 d" in " ".join(each.missing)
        for each in older.findings
        if each.kind is FindingKind.OUT_OF_STEP
    )


def test_a_queue_that_was_taken_in_a_missing_revision_is_nobodys_doing() -> None:
    story = PairStory().item(0, knew=1, status="queued", queue="q-1")
    story.item(1, skip=1, status="assigned", assignedTo="u-1", sync=True)
    whole = PairStory().item(0, knew=1, status="queued", queue="q-1").item(0.5, knew=1, status="ivr", queue=None)
    whole.item(1, status="assigned", assignedTo="u-1", sync=True)
    cut = [*story.events[:1], whole.events[2]]
    (finding,) = (
        each for each in build_timeline("c-1", map(entry, cut)).findings
        if each.kind is FindingKind.ASSIGNED_WITHOUT_QUEUE
    )  # fmt: skip
    assert "Which write took its queue, the capture does not show." in finding.text
    assert finding.missing == ("work-item revision 2",)


def lost_story() -> PairStory:
    """The workflow's assignment is overwritten by a sync whose cause knew conversation 1."""
    story = PairStory().conversation(0, queue="q-1").item(1, knew=1, status="ivr")
    story.item(2, knew=1, status="queued", queue="q-1").conversation(3, assignedUsers=["u-1"], client="workflow")
    return story.conversation(4, assignedUsers=[], sync=True)


def lost_of(events: list[Any]) -> list[TimelineFinding]:
    timeline = build_timeline("c-1", map(entry, events))
    return [each for each in timeline.findings if each.kind is FindingKind.UPDATE_LOST]


def test_an_update_that_a_missing_revision_restored_is_not_lost() -> None:
    assert lost_of(lost_story().events)
    restored = lost_story().conversation(5, assignedUsers=["u-1"], client="agent").conversation(6, ended=True).events
    assert lost_of(restored) == []
    assert lost_of([*restored[:-2], restored[-1]]) == []


def test_an_update_that_a_missing_revision_may_have_restored_says_so() -> None:
    story = lost_story().conversation(5, assignedUsers=["u-1"], client="agent").conversation(6, assignedUsers=[])
    events = story.conversation(7, ended=True).events
    (finding,) = lost_of([*events[:-3], events[-1]])
    assert finding.missing == ("conversation revisions 4 to 5, which may have restored it",)


@pytest.mark.parametrize("seed", range(100, 103))
def test_a_healthy_history_with_a_tenth_of_its_lines_left_out_lost_no_update_for_certain(seed: int) -> None:
    heard: dict[str, list[TimelineEntry]] = defaultdict(list)

    def keep(key: str, event: Mapping[str, Any]) -> None:
        heard[key].append(entry(orjson.loads(orjson.dumps(event))))

    Run(seed, CALM, PolicyInUse.CAUSAL, heard=keep).run()
    random = Random(seed)
    for key, entries in heard.items():
        kept = [each for each in entries if random.random() >= 0.1]
        random.shuffle(kept)
        for finding in build_timeline(key, [*kept, *kept[:3]]).findings:
            if finding.kind in {FindingKind.UPDATE_LOST, FindingKind.STALE_COMPARISON}:
                assert finding.missing, finding.text
