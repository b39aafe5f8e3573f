"""Moves of work-items between sessions: one suite for both stores."""

from typing import Any

import pytest

from commands.session import SessionSlot
from handlers.ports import CommitResult
from tests.worker.store.plans import held, move, place, session, state_plan
from tests.worker.store.store_bench import Bench

COMMITTED, CONFLICT = CommitResult.COMMITTED, CommitResult.CONFLICT


async def _moved(bench: Bench, *moves: Any, version: int = 1) -> None:
    assert await bench.store.commit([state_plan(version=version, moves=moves)]) == [COMMITTED]


async def test_an_item_moves_from_one_session_to_another(bench: Bench) -> None:
    await bench.put(sessions=[session("s1", "u1", work_items=(held("w1"), held("w2"))), session("s2", "u2")])
    await _moved(bench, move("w1", place("s1"), place("s2", size=2)))
    assert await bench.session("s1") == session("s1", "u1", work_items=(held("w2"),))
    assert await bench.session("s2") == session("s2", "u2", work_items=(held("w1", 2),))


async def test_an_item_is_paused_and_resumed(bench: Bench) -> None:
    paused = place("s1", SessionSlot.PAUSED_WORK_ITEMS)
    await bench.put(sessions=[session("s1", "u1", work_items=(held("w1"),))])
    await _moved(bench, move("w1", place("s1"), paused))
    assert await bench.session("s1") == session("s1", "u1", paused_work_items=(held("w1"),))
    await _moved(bench, move("w1", paused, place("s1")), version=2)
    assert await bench.session("s1") == session("s1", "u1", work_items=(held("w1"),))


async def test_only_the_pending_item_itself_leaves_the_pending_place(bench: Bench) -> None:
    pending = place("s1", SessionSlot.PENDING_ITEM, 0)
    await bench.put(sessions=[session("s1", "u1")])
    await _moved(bench, move("w1", None, pending))
    assert await bench.session("s1") == session("s1", "u1", pending_item="w1")
    await _moved(bench, move("w2", pending, place("s1")), version=2)
    assert await bench.session("s1") == session("s1", "u1", work_items=(held("w2"),), pending_item="w1")
    await _moved(bench, move("w1", pending, place("s1")), version=3)
    assert await bench.session("s1") == session("s1", "u1", work_items=(held("w2"), held("w1")))


@pytest.mark.parametrize("leave", [place("s1"), None], ids=["known", "unknown"])
async def test_an_item_changes_its_size_in_its_place(bench: Bench, leave: Any) -> None:
    await bench.put(sessions=[session("s1", "u1", work_items=(held("w1"), held("w2")))])
    await _moved(bench, move("w1", leave, place("s1", size=3)))
    assert await bench.session("s1") == session("s1", "u1", work_items=(held("w2"), held("w1", 3)))


async def test_a_repeated_move_and_one_on_a_missing_session_change_nothing(bench: Bench) -> None:
    await bench.put(sessions=[session("s1", "u1", work_items=(held("w1"),))])
    await _moved(bench, move("w1", place("s0"), place("s1")), move("w2", place("s1"), place("s9")))
    assert await bench.session("s1") == session("s1", "u1", work_items=(held("w1"),))
    assert await bench.session("s9") is None
