"""`routing-sync timeline --html FILE`: the report, with what our policy would have done with the capture."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from commands.engines.rollout import Engine, EngineRollout
from commands.instant import format_instant
from handlers.dry_run.flat_form import shown_conversation, shown_work_item
from handlers.options import Options, PolicyInUse
from handlers.ports import Pair
from worker.cli.new_file import new_file
from worker.investigate.report.drawing import draw
from worker.investigate.report.page import ReportedPair, TimelineReport, report_page
from worker.investigate.report.policy_panel import PolicyDecision, PolicyEnd, PolicyPanel, decision_of
from worker.investigate.timeline.timeline import Timeline
from worker.replay.captured_events import ReplayInput
from worker.replay.environment import ReplayMode
from worker.replay.modes import Replay, ReplayRequest
from worker.replay.pairs.half_pairs import lack_of, sides_of
from worker.replay.pairs.pair_archive import work_item_in
from worker.replay.recorded_syncs import DecisionLine
from worker.replay.reports.report import JsonObject
from worker.replay.reports.report import Report as ReplayReport
from worker.replay.reports.text import flat_conversation_text, violation_text, work_item_text

PAIRS_MAX: Final = 50
REVISIONS_MAX: Final = 2_000
_EXPLORED_WRITES_MAX: Final = 7
"""A pair with more outside writes is not explored: the orders of delivery grow with their factorial."""
_EXPLORED_PAIRS_MAX: Final = 5
"""Each exploration reads the capture once more."""
_STATES_MAX: Final = 20_000
_ENDS_MAX: Final = 20
_POLICY: Final = PolicyInUse.CAUSAL


class Drawn:
    """Gathers the timelines of a report: those with findings first, as many as a page can show."""

    def __init__(self) -> None:
        self._with_findings: list[Timeline] = []
        self._others: list[Timeline] = []
        self._left_out = 0

    def add(self, timeline: Timeline) -> None:
        """Take a timeline."""
        kept = self._with_findings if timeline.findings else self._others
        if len(kept) < PAIRS_MAX:
            kept.append(timeline)
        else:
            self._left_out += 1

    def shown(self) -> tuple[Sequence[Timeline], Sequence[str]]:
        """The timelines to draw, and what is said of those that are not."""
        found = [*self._with_findings, *self._others]
        left_out = self._left_out + max(0, len(found) - PAIRS_MAX)
        if not left_out:
            return found, ()
        remark = f"{left_out:,} more conversations are not drawn: choose one by --conversation, or --only-findings."
        return found[:PAIRS_MAX], (remark,)


def write_report(
    output: Path,
    files: Sequence[Path],
    drawn: Drawn,
    *,
    conversation: str | None,
    advance: Callable[[], None],
) -> int:
    """Write the page; returns how many pairs are drawn. Raises OSError and InputNotKept."""
    timelines, remarks = drawn.shown()
    panels = _panels(files, timelines, conversation, advance)
    revisions = REVISIONS_MAX
    pairs: list[ReportedPair] = []
    for each in timelines:
        drawing = draw(each, steps_max=revisions)
        revisions -= len(drawing.steps)
        pairs.append(ReportedPair(drawing=drawing, panel=panels.get(each.conversation_id)))
    with new_file(output) as file:
        for part in report_page(TimelineReport(sources=[_name(each) for each in files], pairs=pairs, remarks=remarks)):
            file.write(part.encode("utf-8", "backslashreplace"))
    return len(pairs)


def _name(file: Path) -> str:
    return "standard input" if str(file) == "-" else file.name


def _panels(
    files: Sequence[Path], timelines: Sequence[Timeline], conversation: str | None, advance: Callable[[], None]
) -> dict[str, PolicyPanel]:
    """The panel of each conversation. Standard input was read to its end, so there is none of it."""
    if any(str(file) == "-" for file in files):
        return {each.conversation_id: _without(_READ_ONCE) for each in timelines}
    simulated = _Collected()
    _replay(files, simulated, ReplayMode.SIMULATE, conversation, advance)
    is_explored = len(timelines) <= _EXPLORED_PAIRS_MAX
    return {
        each.conversation_id: _panel(files, each, simulated, advance, is_explored=is_explored) for each in timelines
    }


_READ_ONCE: Final = "Standard input is read once: name a file to see what the policy would have done."


def _without(remark: str) -> PolicyPanel:
    return PolicyPanel(
        policy=_POLICY.value, kept=None, violations=(), decisions=(), conversation=(), work_item=(), remarks=(remark,)
    )


def _panel(
    files: Sequence[Path],
    timeline: Timeline,
    simulated: "_Collected",
    advance: Callable[[], None],
    *,
    is_explored: bool,
) -> PolicyPanel:
    key = timeline.conversation_id
    pair = simulated.ends.get(key)
    if pair is None:
        return _without("The capture has too little of this pair to simulate it.")
    writes = sum(not each.is_sync for each in timeline.entries)
    remarks: list[str] = [*simulated.faults]
    explored: JsonObject = {}
    if not is_explored:
        remarks.append(f"The orders of delivery are gone through for one pair: add `--conversation {key}`.")
    elif writes <= _EXPLORED_WRITES_MAX:
        collected = _Collected()
        _replay(files, collected, ReplayMode.EXPLORE, key, advance)
        explored = collected.explorations.get(key, {})
        remarks += [each for each in collected.faults if each not in remarks]
    else:
        remarks.append(
            f"The orders of delivery of {writes} outside writes are too many for a page: "
            f"`routing-sync replay explore --conversation {key} FILE…` goes through them."
        )
    ends = explored.get("endStates", [])
    if len(ends) > _ENDS_MAX:
        remarks.append(f"{len(ends) - _ENDS_MAX} more ends are not shown.")
    violations = simulated.violations[key]
    conversation, item = pair
    lacks = simulated.lacks[key]
    return PolicyPanel(
        policy=_POLICY.value,
        kept=None if lacks is not None and not violations else not violations,
        lacks=lacks,
        violations=tuple(violations),
        decisions=tuple(simulated.decisions[key]),
        conversation=conversation,
        work_item=item,
        interleavings=explored.get("interleavings", 0),
        ends=tuple(map(_end, ends[:_ENDS_MAX])),
        remarks=tuple(remarks),
    )


def _end(end: JsonObject) -> PolicyEnd:
    conversation, item = end["conversation"], end["workItem"]
    return PolicyEnd(
        count=end["count"],
        conversation=() if conversation is None else (flat_conversation_text(conversation),),
        work_item=() if item is None else (work_item_text(item),),
        violations=tuple(map(violation_text, end["violations"])),
        example=tuple(end["example"]),
    )


def _replay(
    files: Sequence[Path],
    collected: "_Collected",
    mode: ReplayMode,
    conversation: str | None,
    advance: Callable[[], None],
) -> None:
    request = ReplayRequest(
        # A capture may hold syncs of this worker. The store of a replay has no record of them.
        options=Options(policy=_POLICY, rollout=EngineRollout(engine=Engine.COMPOSED), own_syncs_stored=False),
        conversation=conversation,
        states_max=_STATES_MAX,
    )
    with ReplayInput(files) as captured:
        # What cannot be read was told while the timelines were made.
        run = Replay(request, captured, collected, print_error=collected.fault, advance=advance)
        asyncio.run(run.run(mode))


class _Collected(ReplayReport):
    """The report of a replay, by conversation and in words."""

    def __init__(self) -> None:
        super().__init__(BytesIO())
        self.decisions: dict[str, list[PolicyDecision]] = defaultdict(list)
        self.violations: dict[str, list[str]] = defaultdict(list)
        self.ends: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {}
        self.lacks: dict[str, str | None] = {}
        self.explorations: dict[str, JsonObject] = {}
        self.faults: list[str] = []

    def fault(self, text: str) -> None:
        """Keep why a conversation was not explored."""
        if text.startswith("conversation "):
            self.faults.append(text)

    def decided(self, line: DecisionLine) -> None:
        """Keep a decision."""
        audit: dict[str, Any] = dict(line.audit_json)
        self.decisions[str(audit["conversationId"])].append(decision_of(audit, format_instant(line.at)))

    def final(
        self,
        pairs: Iterable[tuple[str, Pair]],
        violations: Sequence[tuple[str, JsonObject]],
        *,
        heading: str = "",  # noqa: ARG002 - for people
    ) -> None:
        """Keep the pairs at the end, and the violations."""
        for key, violation in violations:
            self.violations[key].append(violation_text(violation))
        for key, pair in pairs:
            item = work_item_in(pair)
            self.lacks[key] = lack_of(sides_of(pair))
            self.ends[key] = (
                () if pair.conversation is None else (flat_conversation_text(shown_conversation(pair.conversation)),),
                () if item is None else (work_item_text(shown_work_item(item)),),
            )

    def remark(self, text: str) -> None:
        """Keep nothing: the panel says it."""

    def explored(self, explored: JsonObject) -> None:
        """Keep one conversation's exploration."""
        self.explorations[explored["conversation"]] = explored
