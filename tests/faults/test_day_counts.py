"""The counts of the simulated day find what is wrong, on the smallest days there are."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from sync.conversation import FIELDS, Field
from tests.faults.day.api_count import api_writes_wrong, revisions_wrong
from tests.faults.day.http_clients import SentUpdate
from tests.faults.day.journal import Announced, ItemTimes, Revision
from tests.faults.day.lossy_subscriptions import delivered_endings, is_lost
from tests.faults.day.pair_count import CountedPair, OutsideFacts, counted_pair_of, pair_wrong
from tests.faults.day.script import day_script
from tests.faults.day.session_count import places_wrong
from tests.faults.day.wait_count import counted_waits, waits_wrong

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
PLAIN = {"agent": None, "queue": None, "closed": False, "paused": False, "ended": False}


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def times(status: str, written_s: float, *, queue: str | None = "q-1", accepted_s: float | None = None) -> ItemTimes:
    return ItemTimes(
        status=status,
        queue=queue,
        routed_to=None,
        entered_queue_at=NOON,
        accepted_at=None if accepted_s is None else at(accepted_s),
        written_at=at(written_s),
    )


def item(
    rev: int, *, announced: Announced | None = None, item_times: ItemTimes | None = None, **plain: Any
) -> Revision:
    values = {**PLAIN, **plain}
    return Revision(
        side="work-item",
        key="w-1",
        conversation_id="c-1",
        rev=rev,
        created=rev == 1,
        values={
            "assignee": values["agent"],
            "queue": values["queue"],
            "status": values["closed"],
            "ended": values["ended"],
            "paused": values["paused"],
        },
        plain=values,
        number=1,
        times=item_times,
        announced=announced,
    )


def conversation(rev: int, **plain: Any) -> Revision:
    values = {**PLAIN, **plain}
    return Revision(
        side="conversation",
        key="c-1",
        conversation_id="c-1",
        rev=rev,
        created=rev == 1,
        values={
            "assignee": [] if values["agent"] is None else [values["agent"]],
            "queue": values["queue"],
            "status": values["closed"],
            "ended": values["ended"],
            "paused": values["paused"],
        },
        plain=values,
    )


class TestTheScript:
    def test_the_same_seed_has_the_same_script(self) -> None:
        first, again, other = (day_script(seed, conversations=20, seconds=60, steps=8) for seed in (1, 1, 2))
        assert first == again != other

    def test_about_one_id_in_ninety_is_lost_and_no_other(self) -> None:
        ids = [f"{number:024x}" for number in range(256)]
        passing = tuple(delivered_endings())
        assert [each for each in ids if is_lost(each)] == [each for each in ids if not each.endswith(passing)]
        assert sum(map(is_lost, ids)) == 3
        assert len(passing) <= 150, "SNS takes no larger policy"


class TestWaits:
    ROUTED = (
        item(1, item_times=times("queued", 0)),
        item(2, item_times=times("routed", 25)),
        item(3, item_times=times("assigned", 45, accepted_s=45)),
        item(4, item_times=times("completed", 75, accepted_s=45)),
    )

    def record(self, **changed: Any) -> dict[str, Any]:
        wait = {"workItemId": "w-1", "enteredQueueAt": NOON, "endedAt": at(25), "durationMs": 25_000, "queue": "q-1"}
        return {**wait, **changed}

    def test_the_worked_cases(self) -> None:
        direct = (item(1, item_times=times("queued", 0)), item(2, item_times=times("assigned", 33, accepted_s=33)))
        assert [wait.duration_ms for wait in counted_waits("w-1", self.ROUTED, ())] == [25_000]
        assert [wait.duration_ms for wait in counted_waits("w-1", direct, ())] == [33_000]

    @pytest.mark.parametrize(("last", "waits"), [("ivr", 0), ("completed", 0), ("wrap-up", 0), ("assigned", 1)])
    def test_who_leaves_the_queue_for_no_agent_has_no_wait(self, last: str, waits: int) -> None:
        revisions = (item(1, item_times=times("queued", 0)), item(2, item_times=times(last, 9)))
        assert len(list(counted_waits("w-1", revisions, ()))) == waits

    def test_a_write_that_assigns_and_completes_ends_a_wait(self) -> None:
        passed = (item(1, item_times=times("queued", 0)), item(2, item_times=times("completed", 9, accepted_s=9)))
        assert [wait.duration_ms for wait in counted_waits("w-1", passed, ())] == [9_000]

    @pytest.mark.parametrize(
        "stored",
        [
            [],
            [{"endedAt": at(26)}],
            [{"durationMs": 24_000}],
            [{"queue": "q-2"}],
            [{}, {"workItemId": "w-2"}],
        ],
    )
    def test_a_record_that_is_missing_wrong_or_too_many_is_found(self, stored: list[dict[str, Any]]) -> None:
        waits = list(counted_waits("w-1", self.ROUTED, ()))
        assert not list(waits_wrong(waits, [self.record()]))
        assert list(waits_wrong(waits, [self.record(**changed) for changed in stored]))

    def test_of_a_wait_whose_event_was_lost_a_later_event_tells_with_the_queue_of_then(self) -> None:
        moved = (*self.ROUTED[:2], item(3, item_times=times("assigned", 45, queue="q-2", accepted_s=45)))
        (wait,) = counted_waits("w-1", moved, {("w-1", 2)})
        assert wait.told
        assert wait.queues == {"q-1", "q-2"}

    def test_a_wait_may_be_missing_only_if_every_event_up_to_the_next_queue_was_lost(self) -> None:
        back = (*self.ROUTED[:2], item(3, item_times=times("queued", 45)))
        (untold,) = counted_waits("w-1", back, {("w-1", 2), ("w-1", 3)})
        (told,) = counted_waits("w-1", back, {("w-1", 2)})
        assert (untold.told, told.told) == (False, True)
        assert not list(waits_wrong([untold], []))


class TestUpdates:
    MADE = Announced(
        message_id="m-1",
        is_sync=False,
        changed_fields=frozenset(),
        known_rev=None,
        actions=("UPDATE_COMMAND",),
        update={"assignedTo": "u-1", "rev": 1},
    )

    def call(self, rev: int = 2, status: int | None = 200, agent: str = "u-1") -> SentUpdate:
        after = {
            "attributes": {"rev": rev, "status": "assigned", "paused": False},
            "relationships": {"assignedTo": {"data": {"id": agent}}},
        }
        update = {"assignedTo": "u-1", "rev": 1}
        return SentUpdate(item="w-1", update=update, status=status, after=after if status == 200 else None)

    def test_an_answered_update_is_one_revision(self) -> None:
        written = [item(1), item(2, announced=self.MADE, agent="u-1")]
        assert not list(api_writes_wrong([self.call()], written))
        assert not list(api_writes_wrong([self.call(status=None)], written))

    @pytest.mark.parametrize(
        ("calls", "revisions"),
        [
            ([], [2]),
            ([{"status": 409}], [2]),
            ([{}], [2, 3]),
            ([{}], []),
            ([{"agent": "u-2"}], [2]),
            ([{"status": None}], [2, 3]),
        ],
        ids=["nobody", "refused", "written twice", "not written", "another value", "no answer, written twice"],
    )
    def test_what_does_not_fit_is_found(self, calls: list[dict[str, Any]], revisions: list[int]) -> None:
        written = [item(1), *(item(rev, announced=self.MADE, agent="u-1") for rev in revisions)]
        assert list(api_writes_wrong([self.call(**each) for each in calls], written))

    def test_a_revision_that_is_left_out_is_found(self) -> None:
        assert not list(revisions_wrong([("w-1", [item(1), item(2)])]))
        assert list(revisions_wrong([("w-1", [item(1), item(3)])]))
        assert list(revisions_wrong([("w-1", [item(1), item(2), item(2)])]))


class TestPlaces:
    @property
    def item(self) -> dict[str, Any]:
        return {
            "_id": "w-1",
            "attributes": {"status": "assigned", "paused": False, "itemSize": 2},
            "relationships": {"workSession": {"data": {"id": "s-1"}}},
        }

    def session(self, **places: Any) -> dict[str, Any]:
        return {"_id": "s-1", "workItems": [], "pausedWorkItems": [], "pendingItem": None, **places}

    def test_places_fit(self) -> None:
        assert not list(places_wrong([self.session(workItems=[{"id": "w-1", "itemSize": 2}])], [self.item]))

    @pytest.mark.parametrize(
        "places",
        [
            {},
            {"pausedWorkItems": [{"id": "w-1", "itemSize": 2}]},
            {"workItems": [{"id": "w-1", "itemSize": 1}]},
            {"workItems": [{"id": "w-1", "itemSize": 2}] * 2},
            {"workItems": [{"id": "w-1", "itemSize": 2}], "pendingItem": "w-1"},
        ],
    )
    def test_one_place_wrong_is_found(self, places: Mapping[str, Any]) -> None:
        assert list(places_wrong([self.session(**places)], [self.item]))

    def test_a_session_that_is_not_stored_is_found(self) -> None:
        assert list(places_wrong([], [self.item]))


class TestPairs:
    """The conversation is queued; the work-item is assigned by an agent who knew it; the conversation is assigned."""

    WRITES = (conversation(1), item(1), item(2, agent="a"), conversation(2, agent="b"))

    def facts(self, revision: Revision, *, lost: bool = False) -> OutsideFacts:
        fields: frozenset[Field] = frozenset({"assignee"}) if revision.rev > 1 else frozenset(FIELDS)
        known_rev = None if revision.side == "conversation" else 1
        return OutsideFacts(changed_fields=fields, known_rev=known_rev, lost=lost)

    def wrong(
        self, agent: str | None, item_agent: str | None, *, pair: CountedPair | None = None, **changed: Any
    ) -> list[str]:
        pair = pair or counted_pair_of("c-1", self.WRITES, self.facts)
        users = [] if agent is None else [agent]
        stored = {
            "_id": "c-1",
            "type": "conversation",
            "rev": 3,
            "attributes": {"status": "open", "assignedUsers": users, "ended": False},
            "relationships": {},
        }
        linked = {} if item_agent is None else {"assignedTo": {"data": {"type": "user", "id": item_agent}}}
        attributes = {"status": "assigned", "paused": False, "resourceType": "conversation", **changed}
        attributes |= {"workItemNumber": 1, "rev": 3}
        work_item = {
            "_id": "w-1",
            "type": "work_item",
            "rev": 3,
            "active": attributes["status"] != "completed",
            "conversationId": "c-1",
            "workItemNumber": 1,
            "attributes": attributes,
            "relationships": {"resource": {"data": {"type": "conversation", "id": "c-1"}}, **linked},
        }
        return list(pair_wrong(pair, stored, [work_item]))

    def test_the_last_write_stands(self) -> None:
        assert not self.wrong("b", "b")

    @pytest.mark.parametrize(("agent", "item_agent"), [("a", "a"), ("b", "a"), ("a", "b"), (None, "b")])
    def test_another_end_is_found_by_both_counts(self, agent: str | None, item_agent: str | None) -> None:
        found = self.wrong(agent, item_agent)
        assert any("expected" in line for line in found)
        assert any("counted" in line for line in found)

    def test_an_open_conversation_without_an_active_work_item_is_found(self) -> None:
        assert self.wrong("b", "b", status="completed")

    def test_the_conversation_may_hold_what_a_silent_write_of_the_work_item_set(self) -> None:
        """The last write did not know the conversation's: that one stands, or what the silent one made of it."""
        writes = (conversation(1), item(1), conversation(2, agent="b"), item(2, agent="a"), item(3, agent="z"))
        knew: dict[tuple[str, int], int | None] = {("w-1", 1): 1, ("w-1", 3): 1}

        def facts(revision: Revision) -> OutsideFacts:
            return replace(self.facts(revision), known_rev=knew.get((revision.key, revision.rev)))

        ends = {
            agent: self.wrong(agent, agent, pair=counted_pair_of("c-1", writes, facts)) for agent in ("a", "b", "z")
        }
        assert [agent for agent, wrong in ends.items() if not wrong] == ["a", "b"]

    def test_too_many_syncs_are_found(self) -> None:
        sync = Announced(
            message_id="m", is_sync=True, changed_fields=frozenset(), known_rev=None, actions=(), update=None
        )
        pair = counted_pair_of("c-1", (*self.WRITES, *[replace(item(9), announced=sync)] * 9), self.facts)
        assert (pair.outside_writes, pair.sync_writes) == (4, 9)

    def test_a_write_that_nobody_announced_is_found(self) -> None:
        pair = counted_pair_of("c-1", self.WRITES, lambda revision: None if revision.rev == 2 else self.facts(revision))
        assert pair.unannounced == ["w-1 2", "c-1 2"]
