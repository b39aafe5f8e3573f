"""The three modes of a replay: captured events through the rules, offline, on stores in memory.

| mode | the events | see |
|---|---|---|
| observe | as captured, and our decision beside each | observe.py |
| simulate | the outside writes re-enacted, our syncs in the place of the captured ones | simulate.py |
| explore | the same in every order in which they could have been delivered | explore.py |

The first two take a capture of any size; `explore` holds the outside events of the conversations that it explores.
Time, ids and randomness do not come from the machine (environment.py). A capture holds no work-sessions and no queues,
so no work-item takes a place on a session.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, assert_never

from msgspec import Struct

from handlers.dry_run.flat_form import shown_conversation, shown_work_item
from handlers.events.event import UnsupportedEvent
from handlers.options import Options
from handlers.outcome import HandledEvent, PolledPair
from handlers.planning.endings import unsupported_audit
from sync.audit import AuditRecord
from worker.captures import CaptureFault, UnreadParts
from worker.errors import NotReenacted, TooManyStates
from worker.replay.captured_events import EPOCH, HELD_MAX, CapturedEvent, ReplayInput, in_order
from worker.replay.environment import ReplayEnvironment, ReplayMode
from worker.replay.explore import EndState, Exploration
from worker.replay.observe import Observer
from worker.replay.pairs.half_pairs import HalfPairs, lack_of
from worker.replay.pairs.initial_pairs import InitialPairs
from worker.replay.pairs.pair_archive import work_item_in
from worker.replay.recorded_syncs import DecisionLine, RecordedSyncs
from worker.replay.reports.report import Report
from worker.replay.reports.text import contract_text
from worker.replay.simulate import Simulator
from worker.replay.state_space import WRITE, WriteHistory

OBSERVED_HEADING = "in the end, as captured, and what we make of the last event"


class ReplayRequest(Struct, frozen=True, kw_only=True):
    """The options of a replay.

    `conversation`: the id of the only conversation to replay. `duplicates` and `states_max`: for `explore`. `held_max`:
    how many events are held to put them in order, and to find the captured syncs that they caused.
    """

    options: Options
    conversation: str | None = None
    duplicates: int = 0
    states_max: int = 200_000
    held_max: int = HELD_MAX


@dataclass(slots=True, kw_only=True)
class ReplayResult:
    """How many inputs could not be read or replayed, and how many violations of the contract there are at the end."""

    faults: int = 0
    violations: int = 0


class Replay:
    """One replay. `print_error` takes a line for standard error; `advance` is called for every step of the work."""

    def __init__(
        self,
        request: ReplayRequest,
        replay_input: ReplayInput,
        report: Report,
        *,
        print_error: Callable[[str], None],
        advance: Callable[[], None],
    ) -> None:
        self._request = request
        self._input = replay_input
        self._report = report
        self._print_error = print_error
        self._unread = UnreadParts(print_error)
        self._advance = advance
        self._environment = ReplayEnvironment(options=request.options)
        self._result = ReplayResult()
        self._events: Counter[type[CapturedEvent | UnsupportedEvent]] = Counter()
        self._differing = 0

    async def run(self, mode: ReplayMode) -> ReplayResult:
        """Replay the input in one mode, and print the report."""
        match mode:
            case ReplayMode.OBSERVE:
                await self._observe()
            case ReplayMode.SIMULATE:
                await self._simulate()
            case ReplayMode.EXPLORE:
                await self._explore()
            case _:
                assert_never(mode)
        return self._result

    async def _observe(self) -> None:
        recorded = RecordedSyncs(self._report_with_recorded, self._request.held_max)
        observer = Observer(self._environment, lambda decided, captured, at: recorded.add(_line(decided, captured, at)))
        at = EPOCH
        for entry in self._entries():
            if isinstance(entry, UnsupportedEvent):
                audit = unsupported_audit(entry, self._request.options.policy.applied)
                recorded.add(DecisionLine(audit_json=_audit_json(audit), at=at))
                continue
            await observer.take(entry)
            at = entry.event.published_at or at
            if entry.event.is_sync:
                recorded.add_sync(entry)
        await observer.finish()
        recorded.finish()
        if not self._events:
            self._report_empty_input()
        self._report.final(observer.pairs(), (), heading=OBSERVED_HEADING)
        if self._differing:
            self._report.remark(
                f"what the captured worker did differs from ours at {self._differing} "
                f"{'event' if self._differing == 1 else 'events'}: --json shows it under recorded; "
                "`replay explore` shows every order"
            )

    async def _simulate(self) -> None:
        initial_pairs = InitialPairs()
        for entry in self._input.entries(self._request.conversation):
            self._advance()
            if isinstance(entry, CapturedEvent):
                initial_pairs.add(entry)
        simulator = Simulator(
            self._environment,
            initial_pairs,
            lambda decided, captured, at: self._report.decided(_line(decided, captured, at)),
            self._report_fault,
        )
        captured_events = (entry for entry in self._entries() if isinstance(entry, CapturedEvent))
        for captured in in_order(captured_events, self._request.held_max):
            await simulator.take(captured)
        await simulator.finish()
        violations = list(simulator.violations())
        self._result.violations = len(violations)
        is_empty = not self._events[CapturedEvent]
        if is_empty:
            self._report_empty_input()
        pairs = HalfPairs()
        self._report.final(pairs.counted(simulator.pairs()), violations)
        if not is_empty:
            self._report.remark(contract_text(violations, pairs))

    async def _explore(self) -> None:
        initial_pairs = InitialPairs()
        by_conversation: dict[str, list[CapturedEvent]] = {}
        for entry in self._entries():
            if isinstance(entry, CapturedEvent):
                initial_pairs.add(entry)
                by_conversation.setdefault(entry.event.conversation_id, []).append(entry)
        if not by_conversation:
            self._report_empty_input()
        for conversation_id, captured in by_conversation.items():
            # A write that was captured twice is one write.
            writes = {
                (each.event.document_id, each.event.rev): each
                for each in in_order(captured, held_max=None)
                if not each.event.is_sync
            }
            pair = initial_pairs.pair(conversation_id)
            history = WriteHistory(conversation_id, tuple(writes.values()), pair, self._request.options)
            try:
                await self._explore_one(history, lack_of(each.event.side for each in captured))
            except TooManyStates:
                self._report_unexplored(
                    conversation_id,
                    f"more than {self._request.states_max} states of {len(writes)} outside writes: choose a "
                    "conversation with fewer by --conversation, a shorter part of the capture, or raise --states-max",
                )
            except NotReenacted as why:
                self._report_unexplored(conversation_id, str(why))

    async def _explore_one(self, history: WriteHistory, lack: str | None) -> None:
        exploration = Exploration(
            history,
            duplicates=self._request.duplicates,
            states_max=self._request.states_max,
            advance=self._advance,
        )
        end_states = await exploration.run()
        self._result.violations += sum(len(end_state.violations) for end_state in end_states)
        self._report.explored(
            {
                "conversation": history.conversation_id,
                "policy": self._request.options.policy.value,
                "interleavings": sum(end_state.count for end_state in end_states),
                **({} if lack is None else {"lacks": lack}),
                "endStates": [await _end_state_wire(history, exploration, end_state) for end_state in end_states],
            }
        )

    def _entries(self) -> Iterator[CapturedEvent | UnsupportedEvent]:
        """The events of the input, counted; the faults are reported."""
        for entry in self._input.entries(self._request.conversation):
            self._advance()
            if isinstance(entry, CaptureFault):
                self._result.faults += 1
                self._unread.add(entry)
            else:
                self._events[type(entry)] += 1
                yield entry
        summary = self._unread.summary()
        if summary is not None:
            self._print_error(summary)

    def _report_fault(self, fault: CaptureFault) -> None:
        self._result.faults += 1
        self._print_error(str(fault))

    def _report_unexplored(self, conversation_id: str, why: str) -> None:
        self._result.faults += 1
        self._print_error(f"conversation {conversation_id}: {why}")

    def _report_empty_input(self) -> None:
        conversation = self._request.conversation
        missing = "events" if conversation is None else f"event of conversation {conversation}"
        kinds = " of conversations and work-items" if self._events[UnsupportedEvent] else ""
        self._result.faults += 1
        self._print_error(f"no {missing}{kinds} in {self._input.name}")

    def _report_with_recorded(self, line: DecisionLine) -> None:
        self._differing += line.differs
        line.audit_json = {**line.audit_json, "recorded": line.recorded}
        self._report.decided(line)


def _line(decided: HandledEvent | PolledPair, captured: CapturedEvent | None, at: datetime) -> DecisionLine:
    is_cause = captured is not None and not captured.event.is_sync
    cause = (captured.event.conversation_id, captured.event.side) if captured is not None and is_cause else None
    return DecisionLine(audit_json=_audit_json(decided.audit), at=at, cause_key=cause)


def _audit_json(audit: AuditRecord) -> dict[str, Any]:
    # The lag is the machine's; it is 0, so that the outputs of two replays compare.
    return {**audit.as_wire(), "lagMs": 0}


async def _end_state_wire(history: WriteHistory, exploration: Exploration, end_state: EndState) -> dict[str, Any]:
    steps, pair = await exploration.retrace(end_state.example)
    conversation, item = pair.conversation, work_item_in(pair)
    return {
        "count": end_state.count,
        "conversation": None if conversation is None else shown_conversation(conversation),
        "workItem": None if item is None else shown_work_item(item),
        "violations": list(end_state.violations),
        "example": [history.step_text(step) for step in end_state.example],
        "audit": [
            _audit_json(handled.audit)
            for step, handled in zip(end_state.example, steps, strict=True)
            if handled is not None and step[0] != WRITE
        ],
    }
