"""`explore`: its counts and end states against interleavings that are made one by one."""

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from handlers.documents.document_mapping import conversation_of
from handlers.dry_run.flat_form import conversation_document, work_item_document
from handlers.options import Options, PolicyInUse
from handlers.ports import Pair
from tests.handlers.wire_events import LOST_ASSIGNMENT, UNASSIGN_WITHOUT_QUEUE, Json, conversation, event, work_item
from tests.worker.replay.replays import Runner, incident, replay
from tests.worker.replay.test_reenactment import change, changed
from worker.replay.captured_events import CapturedEvent, ReplayInput, in_order
from worker.replay.contract_check import OutsideWrites
from worker.replay.explore import Exploration
from worker.replay.pairs.initial_pairs import InitialPairs
from worker.replay.pairs.pair_archive import work_item_in
from worker.replay.state_space import DELIVER, REDELIVER, WRITE, ExplorationStep, WriteHistory

__all__ = ["replay"]


def orders(writes: int, again: int) -> Iterator[tuple[ExplorationStep, ...]]:
    """Every interleaving, built by recursion."""

    def go(
        path: tuple[ExplorationStep, ...], written: int, pending: frozenset[int], left: int
    ) -> Iterator[tuple[ExplorationStep, ...]]:
        if written == writes and not pending:
            yield path
        if written < writes:
            yield from go((*path, (WRITE, written)), written + 1, pending | {written}, left)
        for each in pending:
            yield from go((*path, (DELIVER, each)), written, pending - {each}, left)
        for each in range(written if left else 0):
            if each not in pending:
                yield from go((*path, (REDELIVER, each)), written, pending, left - 1)

    return go((), 0, frozenset(), again)


def history_of(file: str, policy: PolicyInUse) -> WriteHistory:
    with ReplayInput([Path(file)]) as source:
        captured = [entry for entry in source.entries() if isinstance(entry, CapturedEvent)]
    initial_pairs = InitialPairs()
    for each in captured:
        initial_pairs.add(each)
    writes = tuple(each for each in in_order(captured, held_max=None) if not each.event.is_sync)
    key = writes[0].event.conversation_id
    return WriteHistory(key, writes, initial_pairs.pair(key), Options(policy=policy, own_syncs_stored=False))


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("name", "policy", "again"),
    [
        (LOST_ASSIGNMENT, PolicyInUse.LEGACY, 0),
        (LOST_ASSIGNMENT, PolicyInUse.LEGACY, 1),
        (LOST_ASSIGNMENT, PolicyInUse.CAUSAL, 1),
        (UNASSIGN_WITHOUT_QUEUE, PolicyInUse.LEGACY, 0),
    ],
)
async def test_the_search_finds_the_end_of_every_interleaving(name: str, policy: PolicyInUse, again: int) -> None:
    await _check_every_interleaving(history_of(incident(name), policy), again)


@pytest.mark.parametrize(("one", "other", "same"), [(0, 1, False), (1, 2, True), (0, 0, True)])
def test_a_work_item_that_was_queued_is_another_state_than_one_that_never_was(
    replay: Runner, one: int, other: int, same: bool
) -> None:
    """Rule A6 reads whether the work-item was ever queued, and no rule reads how often."""

    def key(queued_count: int) -> object:
        queued = work_item(2, queuedCount=queued_count)
        said = changed({"priority": change(1, 2)})
        history = history_of(replay.file([event(conversation(1)), event(queued, changes=said)]), PolicyInUse.CAUSAL)
        return history.key(history.start(0))

    assert (key(one) == key(other)) is same


async def _check_every_interleaving(history: WriteHistory, again: int) -> None:
    expected: Counter[tuple[object, ...]] = Counter()
    for order in orders(len(history.writes), again):
        state = history.start(again)
        for step in order:
            state, _ = await history.after(state, step)
        pair = history.pair(await history.polled(state))
        work_item = work_item_in(pair)
        assert pair.conversation is not None
        assert work_item is not None
        seen, item = conversation_of(pair.conversation), work_item["relationships"]
        expected[
            seen.assigned_users, seen.queue, str(item.get("assignedTo")), str(item.get("queue", {}).get("data"))
        ] += 1
    ends = await Exploration(history, duplicates=again, states_max=10_000, advance=lambda: None).run()
    assert sorted(end.count for end in ends) == sorted(expected.values())
    assert [end.count for end in ends] == sorted((end.count for end in ends), reverse=True)


@pytest.mark.parametrize(("duplicates", "interleavings"), [(0, 15), (1, 120), (2, 610)])
def test_duplicates_add_interleavings(replay: Runner, duplicates: int, interleavings: int) -> None:
    replayed = replay("explore", "--json", "--duplicates", str(duplicates), incident(LOST_ASSIGNMENT))
    [explored] = replayed.explored
    assert explored["interleavings"] == interleavings == sum(1 for _ in orders(3, duplicates))
    [end] = explored["endStates"]
    assert (end["violations"], len(end["example"])) == ([], 6)


def test_no_example_has_a_needless_redelivery(replay: Runner) -> None:
    """Two writes of the conversation, and a work-item that knew neither: a repeated event can change legacy's end."""
    things = [
        event(conversation(1), at=0.0),
        event(work_item(1, resourceRev=1), at=0.1),
        event(conversation(2, users=("u-1",)), at=0.2, changes=changed({"assignedUsers": change([], ["u-1"])})),
    ]
    file = replay.file(things)
    [explored] = replay("explore", "--json", "--duplicates", "1", "--policy", "legacy", file).explored
    assert explored["interleavings"] == 120
    for end in explored["endStates"]:
        assert all(step.split()[0] in ("write", "deliver") for step in end["example"])
        # Each end is reached without a second delivery, so no example has one.
        assert len(end["example"]) == 6


def test_each_conversation_is_one_object(replay: Runner) -> None:
    files = [incident(LOST_ASSIGNMENT), incident(UNASSIGN_WITHOUT_QUEUE)]
    explored = replay("explore", "--json", *files).explored
    assert [each["interleavings"] for each in explored] == [15, 105]


def test_too_many_states_are_reported_with_the_remedy_and_the_next_conversation_is_explored(replay: Runner) -> None:
    files = [incident(UNASSIGN_WITHOUT_QUEUE), incident(LOST_ASSIGNMENT)]
    replayed = replay("explore", "--json", "--states-max", "40", *files)
    assert replayed.status == 1
    [line] = replayed.err
    assert line.startswith("conversation 60277f53d72347298d9446cb: more than 40 states of 4 outside writes: choose a")
    assert "--conversation" in line
    assert [each["interleavings"] for each in replayed.explored] == [15]


@pytest.mark.thorough
def test_a_longer_history_has_far_fewer_states_than_interleavings(replay: Runner) -> None:
    users: list[list[str]] = [["u-1"], ["u-2"], [], ["u-1"]]
    writes = [
        event(
            conversation(rev, users=tuple(after)),
            at=float(rev),
            changes=changed({"assignedUsers": change(before, after)}),
        )
        for rev, (before, after) in enumerate(pairwise([[], *users]), start=2)
    ]
    file = replay.file([event(conversation(1)), event(work_item(1, resourceRev=1), at=0.5), *writes])
    replayed = replay("explore", "--json", "--states-max", "600", "--fail-on-violation", file)
    [explored] = replayed.explored
    assert (replayed.status, explored["interleavings"]) == (0, 3 * 5 * 7 * 9 * 11)
    assert [end["workItem"]["assignedTo"] for end in explored["endStates"]] == ["u-1"]


def test_too_many_syncs_break_point_3_of_the_contract() -> None:
    flat: Json = {"id": "c-1", "rev": 9, "status": "open", "assignedUsers": [], "queue": None}
    item: Json = {"id": "w-1", "rev": 1, "status": "ivr", "assignedTo": None, "queue": None}
    pair = Pair(conversation=conversation_document(flat), work_items=(work_item_document(item),))
    assert OutsideWrites(count=2).violations(pair, 4) == []
    assert OutsideWrites(count=2).violations(pair, 5) == [{"point": 3, "field": None, "expected": 4, "found": 5}]
