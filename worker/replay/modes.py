"""A replay: captured events through the rules, offline, on stores in memory. Nothing is read from or written to a
server.

| mode | what | see |
|---|---|---|
| observe | every event as it was captured, and what our rules decide beside it | replay_observe.py |
| simulate | the outside writes done again, our syncs in the place of the captured ones | replay_simulate.py |
| explore | the same in every order in which the events could have been delivered | replay_explore.py |

The first two take a capture of any size; the third holds the outside events of the conversations it explores. Two
replays of the same capture print the same bytes: time, ids and chance are the capture's (replay_clock.py). Work-
sessions and queues are in no capture, so no work-item takes a place on one.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from msgspec import Struct

from handlers.dry_run.flat_form import shown_conversation, shown_work_item
from handlers.events.event import UnsupportedEvent
from handlers.options import Options
from handlers.outcome import HandledEvent, PolledPair
from handlers.planning.audit_records import unsupported_audit
from sync.audit import AuditRecord
from worker.captures import CaptureFault
from worker.errors import NotReenacted, TooManyStates
from worker.replay.captured_events import CapturedEvent, ReplayInput
from worker.replay.clock import EPOCH
from worker.replay.environment import ReplayEnvironment, ReplayMode
from worker.replay.explore import EndState, Exploration
from worker.replay.initial_state import InitialStates
from worker.replay.observe import Observer
from worker.replay.recorded_syncs import DecisionLine, RecordedSyncs
from worker.replay.reports.report import Report
from worker.replay.reports.text import contract_text
from worker.replay.simulate import Simulator
from worker.replay.state_space import WRITE, WriteHistory
from worker.replay.write_order import HELD_MAX, in_order


class ReplayRequest(Struct, frozen=True, kw_only=True):
    """What a replay is asked to do. `conversation`: that one alone. `held_max`: how many events are held to put them in
    order, and to see what was recorded about them."""

    options: Options
    conversation: str | None = None
    duplicates: int = 0
    states_max: int = 200_000
    held_max: int = HELD_MAX


@dataclass(slots=True, kw_only=True)
class ReplayResult:
    """What the exit status is made of."""

    faults: int = 0
    violations: int = 0


class Replay:
    """One replay. `complain` takes a line for standard error, `advance` is called for every step of the work."""

    def __init__(
        self,
        asked: ReplayRequest,
        source: ReplayInput,
        report: Report,
        *,
        complain: Callable[[str], None],
        advance: Callable[[], None],
    ) -> None:
        self._asked = asked
        self._source = source
        self._report = report
        self._complain = complain
        self._advance = advance
        self._environment = ReplayEnvironment(options=asked.options)
        self._ended = ReplayResult()
        self._met = {CapturedEvent: 0, UnsupportedEvent: 0}
        self._differ = 0

    async def run(self, mode: ReplayMode) -> ReplayResult:
        """Do it."""
        match mode:
            case ReplayMode.OBSERVE:
                await self._observe()
            case ReplayMode.SIMULATE:
                await self._simulate()
            case ReplayMode.EXPLORE:
                await self._explore()
        return self._ended

    def _is_of_nothing(self, *, foreign: bool = False) -> bool:
        """True, once it is said, where there was no event; `foreign`: one that is none of ours is one."""
        if self._met[CapturedEvent] or (foreign and self._met[UnsupportedEvent]):
            return False
        of = f"event of conversation {self._asked.conversation}" if self._asked.conversation is not None else "events"
        ours = " of conversations and work-items" if self._met[UnsupportedEvent] else ""
        self._ended.faults += 1
        self._complain(f"no {of}{ours} in {self._source.name}")
        return True

    async def _observe(self) -> None:
        recorded = RecordedSyncs(self._tell_with_recorded, self._asked.held_max)
        observer = Observer(self._environment, lambda end, captured, at: recorded.add(_line(end, captured, at)))
        at = EPOCH
        for found in self._found():
            if isinstance(found, UnsupportedEvent):
                audit = unsupported_audit(found, self._asked.options.policy.applied)
                recorded.add(DecisionLine(wire=_wire(audit), at=at))
                continue
            await observer.take(found)
            at = found.event.published_at or at
            if found.event.is_sync:
                recorded.add_sync(found)
        await observer.finish()
        recorded.finish()
        self._is_of_nothing(foreign=True)
        self._report.final(
            observer.pair_states(), (), heading="in the end, as captured, and what we make of the last event"
        )
        if self._differ:
            self._report.remark(
                f"what the captured worker did differs from ours at {self._differ} "
                f"{'event' if self._differ == 1 else 'events'}: --json shows it under recorded; "
                "`replay explore` shows every order"
            )

    async def _simulate(self) -> None:
        initial_states = InitialStates()
        for seen in self._source.found(self._asked.conversation):
            self._advance()
            if isinstance(seen, CapturedEvent):
                initial_states.see(seen)
        simulator = Simulator(
            self._environment,
            initial_states,
            lambda end, captured, at: self._report.decided(_line(end, captured, at)),
            self._fault,
        )
        outside = (found for found in self._found() if isinstance(found, CapturedEvent))
        for captured in in_order(outside, self._asked.held_max):
            await simulator.take(captured)
        await simulator.finish()
        violations = list(simulator.violations())
        self._ended.violations = len(violations)
        nothing = self._is_of_nothing()
        self._report.final(simulator.pair_states(), violations)
        if not nothing:
            self._report.remark(contract_text(violations))

    async def _explore(self) -> None:
        initial_states = InitialStates()
        captured: dict[str, list[CapturedEvent]] = {}
        for found in self._found():
            if isinstance(found, CapturedEvent):
                initial_states.see(found)
                captured.setdefault(found.event.conversation_id, []).append(found)
        self._is_of_nothing()
        for conversation_id, events in captured.items():
            writes = {
                (one.event.document_id, one.event.rev): one
                for one in in_order(events, held_max=None)
                if not one.event.is_sync
            }
            pair_state = initial_states.pair_state(conversation_id)
            history = WriteHistory(conversation_id, tuple(writes.values()), pair_state, self._asked.options)
            try:
                await self._explore_one(history)
            except TooManyStates:
                self._complain_of(
                    conversation_id,
                    f"more than {self._asked.states_max} states of {len(writes)} outside writes: choose a conversation "
                    "with fewer by --conversation, a shorter part of the capture, or raise --states-max",
                )
            except NotReenacted as why:
                self._complain_of(conversation_id, str(why))

    async def _explore_one(self, history: WriteHistory) -> None:
        exploration = Exploration(
            history,
            duplicates=self._asked.duplicates,
            states_max=self._asked.states_max,
            advance=self._advance,
        )
        ends = await exploration.run()
        self._ended.violations += sum(len(end.violations) for end in ends)
        self._report.explored(
            {
                "conversation": history.conversation_id,
                "policy": self._asked.options.policy.value,
                "interleavings": sum(end.count for end in ends),
                "endStates": [await _end_state(history, exploration, end) for end in ends],
            }
        )

    def _found(self) -> Iterator[CapturedEvent | UnsupportedEvent]:
        for found in self._source.found(self._asked.conversation):
            self._advance()
            if isinstance(found, CaptureFault):
                self._fault(found)
            else:
                self._met[type(found)] += 1
                yield found

    def _fault(self, fault: CaptureFault) -> None:
        self._ended.faults += 1
        self._complain(str(fault))

    def _complain_of(self, conversation_id: str, why: str) -> None:
        self._ended.faults += 1
        self._complain(f"conversation {conversation_id}: {why}")

    def _tell_with_recorded(self, line: DecisionLine) -> None:
        self._differ += line.differs
        line.wire = {**line.wire, "recorded": line.recorded}
        self._report.decided(line)


def _line(end: HandledEvent | PolledPair, captured: CapturedEvent | None, at: datetime) -> DecisionLine:
    asked = captured is not None and not captured.event.is_sync
    event = (captured.event.conversation_id, captured.event.side) if captured is not None and asked else None
    return DecisionLine(wire=_wire(end.audit), at=at, event=event)


def _wire(audit: AuditRecord) -> dict[str, Any]:
    # How long it took is the machine's; so that outputs compare it is nothing.
    return {**audit.as_wire(), "lagMs": 0}


async def _end_state(history: WriteHistory, exploration: Exploration, end: EndState) -> dict[str, Any]:
    handled, pair_state = await exploration.handled(end.example)
    conversation, item = pair_state.conversation, pair_state.work_item
    return {
        "count": end.count,
        "conversation": None if conversation is None else shown_conversation(conversation),
        "workItem": None if item is None else shown_work_item(item),
        "violations": list(end.violations),
        "example": [history.named(step) for step in end.example],
        "audit": [
            _wire(one.audit)
            for step, one in zip(end.example, handled, strict=True)
            if one is not None and step[0] != WRITE
        ],
    }
