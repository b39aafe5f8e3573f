"""The cost of parsing, deciding and logging alone, in this process: no queue, no store, no network.

The unit is microseconds of CPU an event, beside the ratio to `orjson.loads` of the same body and of the message in it,
which is the least that reading an event can cost in Python.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from typing import Any, Final

import orjson
from msgspec import Struct

from handlers.events.event import Event
from handlers.events.parser import read_delivered, read_message
from handlers.options import Options, PlanningContext
from handlers.outcome import HandledEvent
from handlers.planning.drafts.pair_draft import PairDraft
from handlers.planning.endings import own_sync_ending
from handlers.planning.event_batch import load_request_of
from handlers.planning.planner import plan_pair
from handlers.ports import Pair
from tests.bench.loads.workload import LoadKind, workload
from worker.runtime.clock import ObjectIds, SystemClock
from worker.store.documents import Collection
from worker.store.pair_assembly import BatchDocuments, context_of, pairs_of
from worker.telemetry.audit_log import log_handled
from worker.telemetry.logs import LogIdentity, open_log
from worker.telemetry.metrics import NoMetrics, Telemetry

_OPTIONS: Final = Options()
_CLOCK: Final = SystemClock()
_IDS: Final = ObjectIds()
EVENTS: Final = 60
_KINDS: Final = (LoadKind.OWN, LoadKind.UNSHARED, LoadKind.SYNCS)


class MeasuredStep(Struct, frozen=True, kw_only=True):
    """One step on the events of one load: microseconds an event, and their ratio to `orjson.loads` of the bodies."""

    kind: LoadKind
    name: str
    us: float
    ratio: float


class _Case(Struct, frozen=True, kw_only=True):
    body: str
    event: Event
    pair: Pair | None
    handled: HandledEvent


def decisions(*, seed: int, events: int = EVENTS, seconds: float = 0.5) -> list[MeasuredStep]:
    """Every step on every load. Each step is repeated for `seconds` in all; its fastest pass over all events counts.

    The steps take turns, since the machine is slow for seconds at times.
    """
    cases = {kind: _cases(kind, seed, events) for kind in _KINDS}
    wanted = [(kind, name) for kind in _KINDS for name in _STEPS if kind is not LoadKind.OWN or name not in _OF_PAIRS]
    least = dict.fromkeys(wanted, float("inf"))
    for _ in range(_TURNS):
        for kind, name in wanted:
            least[kind, name] = min(least[kind, name], _us(_STEPS[name], cases[kind], seconds / _TURNS))
    return [
        MeasuredStep(kind=kind, name=name, us=us, ratio=us / least[kind, _LOADS]) for (kind, name), us in least.items()
    ]


def _cases(kind: LoadKind, seed: int, events: int) -> list[_Case]:
    load = workload(kind, events, seed=seed, warm_up=0)
    cases = []
    for body in load.bodies:
        event = read_message(body)
        assert isinstance(event, Event), event
        pair = None if kind is LoadKind.OWN else pair_of_load(event, load.documents)
        case = _Case(body=body, event=event, pair=pair, handled=own_sync_ending(event, planning=_planning()))
        if pair is not None:
            [handled] = _plan(case).handled
            case = _Case(body=body, event=event, pair=pair, handled=handled)
        cases.append(case)
    return cases


def pair_of_load(event: Event, documents: Mapping[Collection, Sequence[Mapping[str, Any]]]) -> Pair:
    """The event's pair, of the documents that are stored before a load."""
    keyed = {collection: {one["_id"]: dict(one) for one in some} for collection, some in documents.items()}
    key = event.conversation_id
    items = [one for one in keyed[Collection.WORK_ITEMS].values() if one["conversationId"] == key]
    reading = BatchDocuments(
        states=keyed[Collection.SYNC_STATES],
        conversations=keyed[Collection.CONVERSATIONS],
        work_items={one["_id"]: one for one in items},
    )
    context = context_of(list(keyed[Collection.QUEUES].values()), list(keyed[Collection.WORK_SESSIONS].values()))
    return pairs_of([load_request_of(key, [event])], reading, context)[key]


def _loads(case: _Case) -> object:
    return orjson.loads(orjson.loads(case.body)["Message"])


def _read(case: _Case) -> object:
    return read_delivered(case.body)


def _observe(case: _Case) -> object:
    assert case.pair is not None
    draft = PairDraft(case.event.conversation_id, case.pair)
    draft.observe(case.event, store_snapshot=True)
    return draft


def _plan(case: _Case) -> Any:
    assert case.pair is not None
    return plan_pair(case.event.conversation_id, case.pair, [case.event], planning=_planning())


def _planning() -> PlanningContext:
    now = _CLOCK.now()
    return PlanningContext(now=now, queue_now=now, ids=_IDS, options=_OPTIONS)


def _audit(case: _Case) -> object:
    log_handled([case.handled], _TELEMETRY)
    return None


_SINK: Final = BytesIO()
_TELEMETRY: Final = Telemetry(
    metrics=NoMetrics(), log=open_log(level="info", identity=LogIdentity(), clock=_CLOCK, to=_SINK)
)
_LOADS: Final = "orjson.loads"
_TURNS: Final = 20
_STEPS: Final[Mapping[str, Callable[[_Case], object]]] = {
    _LOADS: _loads,
    "parse (read_delivered)": _read,
    "observe (draft, snapshot, state)": _observe,
    "observe and reconcile (plan_pair)": _plan,
    "audit line (log_handled)": _audit,
}
_OF_PAIRS: Final = ("observe (draft, snapshot, state)", "observe and reconcile (plan_pair)")


def _us(step: Callable[[_Case], object], cases: Sequence[_Case], seconds: float) -> float:
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        began = time.process_time_ns()
        for case in cases:
            step(case)
        best = min(best, time.process_time_ns() - began)
        _SINK.seek(0)
    return best / len(cases) / 1_000
