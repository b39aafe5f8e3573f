"""The composed engine against an independent implementation of its table: all combinations, from every work-item."""

from functools import cache
from itertools import permutations, product

import pytest

from commands.execute import Applied, Unchanged, execute
from commands.work_item import Status, WorkItem
from tests.commands.items import CONTEXT, NOW, Json, json_of, parsed
from tests.commands.space import (
    ALONE,
    EIGHTY,
    FUTURE,
    MISMATCHES_SHOWN,
    MORE,
    RESUMED,
    TAKES_A_SESSION,
    brief,
    check,
    starts,
    starts_in_session_worlds,
)
from tests.oracle import commands_oracle

pytestmark = pytest.mark.thorough


def test_the_eighty_combinations_in_all_five_statuses() -> None:
    assert len(EIGHTY) == 80
    assert check(EIGHTY, commands_oracle) == 80 * 80


def test_the_same_queue_the_same_user_unknown_queues_and_users_without_a_session() -> None:
    assert len(MORE) == 6 * 5 * 3 - 1
    assert check(MORE, commands_oracle) == 89 * 80


def test_routed_accepted_put_back_and_the_ways_to_name_a_queue() -> None:
    assert check(ALONE, commands_oracle) == len(ALONE) * 80


def test_resume_alone_and_with_the_syncs_other_fields() -> None:
    assert check(RESUMED, commands_oracle) == len(RESUMED) * 80


def test_every_session_that_an_update_may_find() -> None:
    among = starts_in_session_worlds()
    assert len(among) == (1 + 10 + 25) * 20
    assert check(TAKES_A_SESSION, commands_oracle, among=among) == len(TAKES_A_SESSION) * len(among)


@cache
def every_result() -> list[tuple[WorkItem, Json, WorkItem | None]]:
    """The work-item before, the update and the work-item after: None where it was refused or nothing changed."""
    results = []
    for update in (*EIGHTY, *MORE, *ALONE, *RESUMED):
        asked = parsed(update)
        for start in starts():
            end = execute(start.item, asked, context=CONTEXT, now=NOW)
            results.append((start.item, update, end.after if isinstance(end, Applied) else None))
    return results


def test_the_order_of_the_fields_is_irrelevant() -> None:
    several = [update for update in EIGHTY if len(update) > 1]
    for update in several:
        # Updates that are parsed to the same value are carried out the same: each value is run once.
        for shuffled in permutations(update.items()):
            assert parsed(dict(shuffled)) == parsed(update), shuffled


def test_the_same_update_again_changes_nothing() -> None:
    again: list[str] = []
    for before, update, after in every_result():
        put_back = "routed" in update and "to" not in update["routed"]
        if after is None or not after.active or put_back:
            continue
        # An update that expects the first revision conflicts the second time, as it should.
        repeated = {name: value for name, value in update.items() if name != "rev"}
        second = execute(after, parsed(repeated), context=CONTEXT, now=NOW)
        if isinstance(second, Applied):
            again.append(
                f"{update} on {brief(json_of(before))}\n  {brief(json_of(after))}\n  {brief(json_of(second.after))}"
            )
    assert not again, f"{len(again)} change something; the first:\n" + "\n".join(again[:MISMATCHES_SHOWN])


def test_a_result_is_fit_as_the_next_input() -> None:
    """Every result is a work-item that the commands accept: its status, place and counters are valid."""
    sample: list[Json] = [
        {"queue": None, "assignedTo": None},
        {"queue": {"id": "q2"}, "assignedTo": "u2"},
        {"status": "completed"},
    ]
    seen = {repr(after): after for _, _, after in every_result() if after is not None and after.active}
    assert len(seen) > 500
    for after, update in product(seen.values(), sample):
        end = execute(after, parsed(update), context=CONTEXT, now=NOW)
        assert isinstance(end, Applied | Unchanged), (after, update, end)


def test_no_field_of_an_update_is_dropped() -> None:
    """After every combination each field has the value asked for, unless a later field of the update changed it."""
    for before, update, after in every_result():
        item = after or before
        if not {"queue", "assignedTo", "status", "paused"}.issuperset(update) or is_refused(update):
            continue
        if "queue" in update:
            asked = update["queue"]
            assert item.queue == (asked["id"] if isinstance(asked, dict) and "id" in asked else item.queue), update
        if "assignedTo" in update:
            assert item.assigned_to == update["assignedTo"], update
        if "status" in update:
            assert item.status.value == update["status"], update
        if "paused" in update:
            assert item.paused is update["paused"], update
        if item.status in (Status.IVR, Status.QUEUED):
            assert item.routed_to is None, update


def is_refused(update: Json) -> bool:
    """An unknown key, or a place in the queue that is still to come."""
    return update in FUTURE or (isinstance(update.get("queue"), dict) and "key" in update["queue"])
