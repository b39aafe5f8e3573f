"""A desk: three work-items that share sessions, and sequences of updates of them from every origin."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import product
from typing import Any, Final

from hypothesis import strategies as st
from msgspec import Struct

from commands.context import CommandContext
from commands.engines.rollout import DEFAULT_ROLLOUT, Engine, EngineRollout, UpdateOrigin
from commands.execute import Applied, Refused, Unchanged, execute
from commands.session import Session, SessionSlot, apply_moves
from commands.work_item import Status, StatusDuration, WorkItem
from tests.commands.items import CONTEXT, LEGACY, T0, Json, parsed

ITEMS: Final = ("w1", "w2", "w3")
SESSIONS: Final[Mapping[str, Session]] = {
    "s1": Session(id="s1", user="u1", capacity=4),
    "s1b": Session(id="s1b", user="u1", capacity=9),
    "s2": Session(id="s2", user="u2", capacity=1),
    "s3": Session(id="s3", user="u3", capacity=7, active=False),
}
KEPT: Final = "2022-03-02T18:00:00.000Z"
"""A place in a queue that an update keeps: entered an hour before the desk opens."""

ROLLED_OUT: Final = EngineRollout(
    engine=Engine.LEGACY, composed_updates=frozenset({"assignedTo:null", "queue:id", "paused"})
)
LIMITED: Final = EngineRollout(fields_max={UpdateOrigin.API: 1, UpdateOrigin.ROUTER: 2})
ROLLOUTS: Final = ((DEFAULT_ROLLOUT,), (LEGACY,), (DEFAULT_ROLLOUT, LEGACY, ROLLED_OUT, LIMITED))
"""One engine for the whole sequence, or engines that are switched while the items live on."""


class DeskStep(Struct, frozen=True, kw_only=True):
    item: str
    update: Json
    seconds: int
    rollout: EngineRollout = DEFAULT_ROLLOUT
    origin: UpdateOrigin = UpdateOrigin.SYNC


_ABSENT: Final = "absent"
_USERS: Final = ("u1", "u2", "u3")
_SESSIONS_WANTED: Final[tuple[Json, ...]] = ({}, {"workSession": "s1b"}, {"workSession": "s2"}, {"workSession": "s3"})
_QUEUES: Final = (
    _ABSENT,
    None,
    {"id": "q1"},
    {"id": "q2", "rule": "r2"},
    {"key": "plain"},
    {"key": "no such key"},
    {"id": "unknown"},
    {"id": "q1", "enteredAt": KEPT},
)


def _combined(*fields: tuple[str, Sequence[Any]]) -> list[Json]:
    """The updates with every combination of these values."""
    drawn = product(*(values for _, values in fields))
    named = [zip((name for name, _ in fields), values, strict=True) for values in drawn]
    updates = [{name: value for name, value in update if value != _ABSENT} for update in named]
    return [update for update in updates if update]


# Drawn from lists: to build each update value by value would take most of the test's time.
_CHANGES: Final = _combined(
    ("queue", _QUEUES),
    ("assignedTo", (_ABSENT, None, *_USERS)),
    ("status", (_ABSENT, "wrap-up")),
    ("paused", (_ABSENT, True, False)),
)
_ENDS: Final = _combined(
    ("queue", (_ABSENT, None, {"id": "q2"})), ("assignedTo", (_ABSENT, None, "u2")), ("status", ("completed",))
)
_RESUMES: Final = _combined(
    ("resume", (True,)),
    ("queue", (_ABSENT, None, {"id": "q2"})),
    ("assignedTo", (_ABSENT, None, "u2")),
    ("paused", (_ABSENT, True, False)),
)
_OFFERS: Final = [{"routed": {"to": user, **wanted}} for user, wanted in product(_USERS, _SESSIONS_WANTED)]
_PUT_BACKS: Final = [{"routed": {kind: user}} for kind, user in product(("rejectedBy", "timedOut"), _USERS)]
_ACCEPTANCES: Final = [
    {"accepted": {"by": user, **wanted}, **paused}
    for user, wanted, paused in product(_USERS, _SESSIONS_WANTED, ({}, {"paused": True}))
]
# Updates that lead on from one another: without them few items would be offered, wrapped up and resumed.
_WORK: Final[list[Json]] = [
    {"queue": {"id": "q1"}},
    {"assignedTo": "u1"},
    {"status": "wrap-up"},
    {"resume": True},
    {"status": "wrap-up"},
    {"resume": True},
    {"routed": {"to": "u1"}},
    {"paused": True},
]
_updates = st.one_of(
    *(st.sampled_from(some) for some in (_WORK, _WORK, _CHANGES + _ENDS, _CHANGES, _OFFERS, _PUT_BACKS)),
    st.sampled_from([*_RESUMES, *_ACCEPTANCES]),
)


def sequences(*, earliest: int = -3) -> st.SearchStrategy[list[DeskStep]]:
    """Updates one after another, `earliest` seconds apart or more. Below zero: the clock is turned back at times."""

    def steps(rollouts: Sequence[EngineRollout], shortest: int) -> st.SearchStrategy[list[DeskStep]]:
        step = st.builds(
            DeskStep,
            item=st.sampled_from(["w1", "w1", "w1", "w2", "w3"]),
            update=_updates,
            seconds=st.integers(min_value=earliest, max_value=60),
            rollout=st.sampled_from(rollouts),
            origin=st.sampled_from(UpdateOrigin),
        )
        return st.lists(step, min_size=shortest, max_size=30)

    # Hypothesis prefers a handful of steps. Faults that show late need more.
    return st.tuples(st.sampled_from(ROLLOUTS), st.sampled_from([0, 15])).flatmap(lambda drawn: steps(*drawn))


class StepResult(Struct, frozen=True, kw_only=True):
    """A step's result. `after` is `before` where nothing was written."""

    step: DeskStep
    before: WorkItem
    after: WorkItem
    result: Applied | Unchanged | Refused


@dataclass(slots=True, kw_only=True)
class Desk:
    items: dict[str, WorkItem]
    sessions: dict[str, Session] = field(default_factory=lambda: dict(SESSIONS))
    now: datetime = T0

    def take(self, step: DeskStep) -> StepResult:
        self.now += timedelta(seconds=step.seconds)
        before = self.items[step.item]
        context = CommandContext(queues=CONTEXT.queues, sessions=self.sessions)
        update = parsed(step.update)
        result = execute(before, update, context=context, now=self.now, rollout=step.rollout, origin=step.origin)
        if isinstance(result, Applied):
            self.items[step.item] = result.after
            self.sessions |= apply_moves(self.sessions, [result.move] if result.move else [])
        return StepResult(step=step, before=before, after=self.items[step.item], result=result)

    def places(self) -> dict[str, list[tuple[str, SessionSlot, float]]]:
        """Each item's entries in the sessions' lists: session, slot and size."""
        found: dict[str, list[tuple[str, SessionSlot, float]]] = {item: [] for item in ITEMS}
        for session in self.sessions.values():
            for held in session.work_items:
                found[held.id].append((session.id, SessionSlot.WORK_ITEMS, held.item_size))
            for held in session.paused_work_items:
                found[held.id].append((session.id, SessionSlot.PAUSED_WORK_ITEMS, held.item_size))
            if session.pending_item is not None:
                found[session.pending_item].append((session.id, SessionSlot.PENDING_ITEM, 0))
        return found


def desk() -> Desk:
    """Three items in ivr, of different sizes, created when the desk opens."""
    sizes = {"w1": 1, "w2": None, "w3": 3}
    return Desk(
        items={
            item: WorkItem(
                id=item,
                rev=1,
                status=Status.IVR,
                item_size=sizes[item],
                resource_created_at=T0,
                ivr=StatusDuration(entered_at=T0, other={"note": item}),
            )
            for item in ITEMS
        }
    )
