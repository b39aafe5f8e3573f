"""Both stores hold the same after any plans, in any order, right or wrong."""

from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from commands.session import Session, SessionMove, SessionPlace, SessionSlot, apply_moves
from handlers.ports import DocumentWrite, LoadRequest, Pair, Plan
from tests.worker.store.plans import announcement, changed, conversation, held, session, work_item
from tests.worker.store.store_bench import Bench, MemoryBench, MongoBench, everything
from worker.store.transaction.session_changes import changed_session, session_changes

pytestmark = pytest.mark.thorough

SESSIONS = ("s1", "s2")
_runs = count(1)

places = st.builds(
    SessionPlace,
    session=st.sampled_from([*SESSIONS, "nowhere"]),
    slot=st.sampled_from(SessionSlot),
    item_size=st.integers(min_value=1, max_value=3),
)
# A move leaves a place, takes one, or both.
_item = st.sampled_from("ab")
moves = st.tuples(_item, places, places | st.none()) | st.tuples(_item, st.none(), places)


def _move(drawn: tuple[str, SessionPlace | None, SessionPlace | None], prefix: str = "") -> SessionMove:
    item, leave, take = drawn
    return SessionMove(
        work_item=prefix + item,
        leave=leave and replace(leave, session=prefix + leave.session),
        take=take and replace(take, session=prefix + take.session),
    )


@given(drawn=st.lists(moves, max_size=8), pending=st.sampled_from([None, "a", "b", "c"]))
def test_merged_moves_end_like_the_moves_one_by_one(drawn: list[Any], pending: str | None) -> None:
    sessions = {
        key: session(key, "u1", work_items=(held("a"), held("c")), paused_work_items=(held("b"),), pending_item=pending)
        for key in SESSIONS
    }
    in_turn = [_move(each) for each in drawn]
    merged: dict[str, Session] = dict(sessions)
    for change in session_changes(in_turn):
        if change.session in merged:
            merged[change.session] = changed_session(merged[change.session], change)
    assert merged == {**sessions, **apply_moves(sessions, in_turn)}


_attributes = st.dictionaries(
    st.sampled_from(["status", "name", "a.b", "$c"]),
    st.sampled_from([None, 1, "x", ["y"], {"a.b": {"$c": 1}}, 2**70]),
    max_size=2,
)
# Most revisions are right; some are off by one, and some are of a missing document.
_slips = st.sampled_from([0, 0, 0, 0, 1, -1])

one_plan = st.fixed_dictionaries(
    {
        "conversation": st.none() | _attributes,
        "work_items": st.dictionaries(st.sampled_from(["w1", "w2", "w3"]), st.booleans(), max_size=3),
        "moves": st.lists(moves, max_size=3),
        "announce": st.booleans(),
        "version_slip": _slips,
        "rev_slip": _slips,
    }
)
batches = st.lists(st.dictionaries(st.sampled_from(["c1", "c2", "c3"]), one_plan, max_size=3), min_size=1, max_size=4)


def _write(before: Any, after: Any, slip: int) -> DocumentWrite:
    if before is None:
        return DocumentWrite(before=None, after=after)
    return DocumentWrite(before={**before, "rev": before["rev"] + slip}, after=after)


def _plan(key: str, drawn: dict[str, Any], pair: Pair, prefix: str, number: int) -> Plan:
    slip = drawn["rev_slip"]
    stored = {item["_id"]: item for item in pair.work_items}
    items = []
    for name, active in drawn["work_items"].items():
        before = stored.get(f"{key}-{name}")
        after = work_item(f"{key}-{name}", key, active=active) if before is None else changed(before)
        items.append(_write(before, {**after, "active": active}, slip))
    write = None
    if drawn["conversation"] is not None:
        old = pair.conversation
        write = _write(old, changed(old or conversation(key, rev=0), **drawn["conversation"]), slip)
    return Plan(
        conversation_id=key,
        conversation=write,
        work_items=tuple(items),
        state=replace(pair.state, version=max(1, pair.state.version + 1 + drawn["version_slip"])),
        moves=tuple(_move(move, prefix) for move in drawn["moves"]),
        revisions=({"_id": f"{key}:{number}"},),
        announcements=(announcement(f"{key}-a{number}", key),) if drawn["announce"] else (),
    )


async def _load(bench: Bench, prefix: str) -> Any:
    items = ("w1", "w2", "w3")
    requests = [
        LoadRequest(
            conversation_id=prefix + key,
            work_item_ids=frozenset(f"{prefix}{key}-{item}" for item in items),
            users=frozenset({prefix + "u"}),
        )
        for key in ("c1", "c2", "c3")
    ]
    return await bench.store.load(requests)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=batches)
async def test_both_stores_agree(mongo: MongoBench, batches: list[dict[str, Any]]) -> None:
    # The examples share a database, so each has ids of its own.
    prefix = f"run{next(_runs)}-"
    memory = MemoryBench()
    for bench in (memory, mongo):
        await bench.put(sessions=[session(prefix + key, prefix + "u") for key in SESSIONS])
    for number, batch in enumerate(batches):
        pairs = await _load(memory, prefix)
        assert await _load(mongo, prefix) == pairs
        plans = [_plan(prefix + key, drawn, pairs[prefix + key], prefix, number) for key, drawn in batch.items()]
        assert await memory.store.commit(plans) == await mongo.store.commit(plans)
    in_mongo = {
        name: [document for document in documents if str(document["_id"]).startswith(prefix)]
        for name, documents in (await everything(mongo)).items()
    }
    assert in_mongo == await everything(memory)
    for key in SESSIONS:
        assert await mongo.session(prefix + key) == await memory.session(prefix + key)
