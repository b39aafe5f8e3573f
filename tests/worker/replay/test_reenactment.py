"""Re-enacted writes: the document before, the document after, and the revision that a write knew."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from commands.instant import parse_instant
from handlers.documents.document import document_from_snapshot
from handlers.events.parser import read_object
from sync.conversation import FIELDS
from tests.handlers.wire_events import ORG, Json, conversation, event, read, work_item
from tests.worker.replay.replays import Runner, replay
from worker.replay.captured_events import EPOCH
from worker.replay.reenactment import ReenactedWrite, Revisions, reenact, start_of

__all__ = ["replay"]


def change(before: Any, after: Any) -> Json:
    return {"op": "replace", "before": before, "after": after}


def changed(attributes: Json | None = None, relationships: Json | None = None) -> Json:
    return {"attributes": attributes or {}, "relationships": relationships or {}}


def reenacted(thing: Json, before: Json | None, revisions: Revisions | None = None) -> ReenactedWrite:
    document = None if before is None else document_from_snapshot(before, org=ORG, rev=before["attributes"]["rev"])
    return reenact(read(thing), thing, document, revisions=revisions or Revisions(), at=EPOCH)


class TestStart:
    def test_is_the_first_snapshot_with_its_changes_undone(self) -> None:
        queue = {"data": {"type": "queue", "id": "q-2"}}
        changes = changed(
            {
                "status": change("open", "done"),
                "ended": {"op": "add", "after": True},
                "updatedAt": change("2024-05-06T07:00:00.000Z", "2024-05-06T07:08:00.000Z"),
            },
            {"queue": {"op": "remove", "before": queue, "after": None}},
        )
        thing = event(conversation(6, status="done", ended=True), changes=changes)
        start = start_of(read(thing), thing)
        assert start is not None
        assert (start["rev"], start["attributes"]["rev"]) == (5, 5)
        assert (start["attributes"]["status"], "ended" in start["attributes"]) == ("open", False)
        assert start["attributes"]["updatedAt"] == "2024-05-06T07:00:00.000Z"
        assert start["relationships"]["queue"] == queue

    @pytest.mark.parametrize("thing", [event(work_item(1)), event(conversation(1), "update")], ids=["create", "rev-1"])
    def test_of_a_created_document_is_none(self, thing: Json) -> None:
        assert start_of(read(thing), thing) is None

    def test_of_changes_without_values_before_is_the_snapshot(self) -> None:
        thing = event(conversation(6), changes=changed({"status": {"op": "add", "after": "open"}}))
        start = start_of(read(thing), thing)
        assert start is not None
        assert (start["rev"], start["attributes"]["status"]) == (5, "open")

    def test_of_a_deletion_is_the_conversation_before_it(self) -> None:
        thing = event(conversation(6, deleted=True), "delete")
        start = start_of(read(thing), thing)
        assert start is not None
        assert "deleted" not in start["attributes"]


class TestReenact:
    def test_sets_the_changed_names_on_the_simulated_document(self) -> None:
        thing = event(
            conversation(6, users=("u-1",), queue="captured", subject="new"),
            changes=changed({"assignedUsers": change([], ["u-1"]), "subject": change("old", "new")}),
            at=1.0,
        )
        again = reenacted(thing, conversation(9, queue="ours", ended=True))
        attributes = again.document["attributes"]
        assert (again.event.rev, attributes["rev"], again.document["rev"]) == (10, 10, 10)
        assert (attributes["assignedUsers"], attributes["subject"], attributes["ended"]) == (["u-1"], "new", True)
        assert again.document["relationships"]["queue"]["data"]["id"] == "ours"
        assert parse_instant(attributes["updatedAt"]) == again.event.published_at
        assert (again.event.id, again.event.client) == (thing["id"], "api")
        assert again.event.changed_fields == frozenset({"assignee"})

    def test_a_value_that_is_there_already_is_no_change(self) -> None:
        thing = event(conversation(6), changes=changed({"assignedUsers": change(["u-1"], [])}))
        assert reenacted(thing, conversation(9)).event.changed_fields == frozenset()

    @pytest.mark.parametrize("told", [None, {}, changed()], ids=repr)
    def test_an_update_without_changes_sets_the_whole_document(self, told: Json | None) -> None:
        thing = event(conversation(6, users=("u-1",), queue="captured", subject="new"), changes=told)
        before = conversation(9, queue="ours", users=("u-1",), ended=True, subject="old", gone=1)
        again = reenacted(thing, before)
        attributes = again.document["attributes"]
        assert (attributes["rev"], attributes["ended"], attributes["subject"]) == (10, False, "new")
        assert "gone" not in attributes
        assert again.document["relationships"]["queue"]["data"]["id"] == "captured"
        # The simulation knows what the write changed, so its event says so.
        assert again.event.changed_fields == frozenset({"queue", "ended"})

    def test_of_a_work_item_the_revision_that_its_creator_knew_stays_the_simulated_one(self) -> None:
        thing = event(work_item(3, status="queued", queue="q-1", resourceRev=4), changes=None)
        again = reenacted(thing, work_item(2, resourceRev=7))
        assert again.document["attributes"]["resourceRev"] == 7
        assert again.event.changed_fields == frozenset({"queue"})

    def test_a_create_creates_the_document(self) -> None:
        again = reenacted(event(work_item(1, resourceRev=4)), None, Revisions(5))
        assert (again.event.rev, again.event.known_conversation_rev, again.document["attributes"]["resourceRev"]) == (
            1,
            5,
            5,
        )
        assert again.event.changed_fields == frozenset(FIELDS)
        # The write is of now, so its event may be in flight; the snapshot may have another time, or none.
        assert parse_instant(again.document["attributes"]["updatedAt"]) == again.event.published_at

    def test_a_deletion_stays_a_deletion(self) -> None:
        again = reenacted(event(conversation(6), "delete"), conversation(9))
        assert (again.event.deletion, again.document["attributes"]["deleted"]) == (True, True)
        assert read_object(again.message) == again.event


class TestTranslation:
    revisions = Revisions(5, [(6, 8), (9, 11)])

    @pytest.mark.parametrize(
        ("named", "simulated"),
        [(1, 5), (5, 5), (6, 8), (7, 8), (8, 8), (9, 11), (40, 11)],
        ids=["older", "start", "a-write", "a-sync", "unknown", "another", "not-yet"],
    )
    def test_is_to_the_newest_write_up_to_the_named_revision(self, named: int, simulated: int) -> None:
        assert self.revisions.translated(named) == simulated

    @pytest.mark.parametrize(
        "reasons",
        [
            [{"action": "QUEUE_WORK_ITEM", "meta": {"conversationRev": 7, "other": 1}}],
            [{"action": "UPDATE_COMMAND", "meta": {"data": {"rev": 1, "resource": {"rev": 7, "id": "c-1"}}}}],
        ],
        ids=["conversationRev", "resource.rev"],
    )
    def test_of_the_revisions_in_the_routing_reasons(self, reasons: list[Json]) -> None:
        thing = event(work_item(3), routingReasons=reasons, changes=changed({"paused": change(False, True)}))
        again = reenacted(thing, work_item(2), self.revisions)
        assert again.event.known_conversation_rev == 8
        meta = again.message["body"]["routingReasons"][0]["meta"]
        assert meta.get("other") == reasons[0]["meta"].get("other")
        assert meta.get("data", {}).get("rev") == reasons[0]["meta"].get("data", {}).get("rev")

    def test_of_a_create(self) -> None:
        assert reenacted(event(work_item(1, resourceRev=9)), None, self.revisions).event.known_conversation_rev == 11


def history(*, knew: int) -> list[Json]:
    """One agent is assigned at revision 3, another at 4; then a write that knew `knew` un-assigns the work-item."""
    first, second = ("u-1",), ("u-2",)
    return [
        event(conversation(1), at=0.0),
        event(work_item(1, resourceRev=1), at=0.1),
        # Revision 2 was a sync of the worker that made the capture.
        event(conversation(2, queue="q-1"), at=0.2, isSync=True, changes=changed(None, {"queue": change(None, {})})),
        event(conversation(3, users=first), at=0.3, changes=changed({"assignedUsers": change([], ["u-1"])})),
        event(conversation(4, users=second), at=0.4, changes=changed({"assignedUsers": change(["u-1"], ["u-2"])})),
        event(
            work_item(5, status="queued", queue="q-1"),
            at=0.5,
            routingReasons=[{"meta": {"conversationRev": knew}}],
            changes=changed(
                {"status": change("assigned", "queued")},
                {"assignedTo": change({"data": {"id": "u-2"}}, None), "queue": change(None, {"data": {"id": "q-1"}})},
            ),
        ),
    ]


@pytest.mark.parametrize(("knew", "users"), [(4, []), (3, ["u-2"]), (2, ["u-2"])])
def test_the_known_revision_decides_in_a_simulation(replay: Runner, knew: int, users: list[str]) -> None:
    replayed = replay("simulate", "--json", "--fail-on-violation", replay.file(history(knew=knew)))
    assert (replayed.status, replayed.err) == (0, [])
    assert replayed.final["conversations"]["c-1"]["assignedUsers"] == users
    assert replayed.final["workItems"]["w-1"]["assignedTo"] == (users[0] if users else None)


@pytest.mark.parametrize(("mode", "where"), [("simulate", "{file}:2"), ("explore", "conversation c-1")])
def test_a_write_that_cannot_be_reenacted_names_itself_and_the_remedy(replay: Runner, mode: str, where: str) -> None:
    """The sync that made the work-item one of the conversation is left out, so the next write belongs to none."""
    sync = event(work_item(2), changes=changed({"resourceType": change("email", "conversation")})) | {"isSync": True}
    write = event(work_item(3, status="queued"), changes=changed({"status": change("ivr", "queued")}))
    file = replay.file([sync, write])
    replayed = replay(mode, file)
    (line,) = replayed.err
    assert replayed.status == 1
    assert line.startswith(f"{where.format(file=file)}: the write of w-1 rev 3 cannot be re-enacted without the syncs ")
    assert line.endswith("it belongs to no conversation there: `replay observe` takes it as it was captured")


def test_a_write_that_was_captured_twice_is_reenacted_once(replay: Runner) -> None:
    things = history(knew=4)
    once = replay("simulate", "--json", replay.file(things))
    assert replay("simulate", "--json", replay.file([*things, *things])).out == once.out
    assert replay("explore", "--json", replay.file([*things, *things])).explored[0]["interleavings"] == 945


@pytest.mark.parametrize("mode", ["observe", "simulate"])
def test_a_new_work_item_waits_until_the_one_before_it_is_completed(replay: Runner, mode: str) -> None:
    """In the capture a sync completes it; in the simulation our own sync does, once the conversation is done."""
    done = changed({"status": change("open", "done")})
    completed = changed({"status": change("ivr", "completed")})
    things = [
        event(conversation(1), at=0.0),
        event(work_item(1, resourceRev=1), at=0.1),
        event(work_item(1, key="w-2", number=2, resourceRev=1), at=0.2),
        event(conversation(2, status="done"), at=0.3, changes=done),
        event(work_item(2, status="completed"), at=0.4, isSync=True, changes=completed),
    ]
    replayed = replay("--mode", mode, "--json", replay.file(things))
    assert replayed.status == 0
    failed = [audit["reasons"][0]["code"] for audit in replayed.audits if audit["outcome"] == "failed"]
    assert failed[0] == "AWAITING_PREDECESSOR"
    # The conversation was open when w-2 was created, and is done when the event of w-2 is delivered again.
    assert [replayed.final["workItems"][key]["status"] for key in ("w-1", "w-2")] == ["completed", "completed"]


@pytest.mark.parametrize("mode", ["observe", "simulate", "explore"])
def test_an_update_without_changes_assigns_as_one_that_tells_its_changes(replay: Runner, mode: str) -> None:
    def capture(told: Json | None, name: str) -> str:
        assigned = event(conversation(2, users=("u-1",)), at=0.2, changes=told)
        return replay.file([event(conversation(1), at=0.0), event(work_item(1, resourceRev=1), at=0.1), assigned], name)

    def said(out: str) -> list[Json]:
        """The lines, but for what the event itself says that it changed."""
        lines: list[Json] = [json.loads(line) for line in out.splitlines()]
        for line in lines:
            (line.get("event") or {}).pop("changes", None)
        return lines

    silent = replay("--mode", mode, "--json", capture(None, "silent.ndjson"))
    told = changed({"assignedUsers": change([], ["u-1"]), "rev": change(1, 2)})
    assert said(silent.out) == said(replay("--mode", mode, "--json", capture(told, "told.ndjson")).out)
    assert '"assignedTo":"u-1"' in silent.out.replace(" ", "")


class TestThePollOfAnObservedPair:
    """Revisions 2, 4 and 5 of the conversation were not captured."""

    def lines(self, *, more: Sequence[Json] = ()) -> list[Json]:
        preview = changed({"preview": change("a", "b")})
        queued = changed({"status": change("ivr", "queued")}, {"queue": change(None, {"data": {"id": "q-1"}})})
        return [
            event(conversation(1), at=0.0),
            event(work_item(1, resourceRev=1), at=0.1),
            event(conversation(3), at=0.2, changes=preview),
            event(
                work_item(2, status="queued", queue="q-1"),
                at=1.0,
                changes=queued,
                routingReasons=[{"meta": {"conversationRev": 1}}],
            ),
            event(conversation(6), at=31.0, changes=preview),
            *more,
        ]

    def test_waits_anew_for_the_later_revisions_and_then_decides(self, replay: Runner) -> None:
        audits = replay("--json", replay.file(self.lines())).audits
        assert [audit["reasons"][0]["code"] for audit in audits[2:]] == [
            "IN_SYNC",
            "AWAITING_EARLIER_EVENT",
            "AWAITING_EARLIER_EVENT",
            # The first poll gives revision 2 up, and the pair waits anew.
            "AWAITING_EARLIER_EVENT",
            "WORK_ITEM_QUEUE_CHANGED",
        ]
        assert [audit["trigger"] for audit in audits[-2:]] == ["gap", "gap"]
        # A minute after the queue began to wait for revision 2, and a minute after that for revisions 4 and 5.
        assert (audits[-1]["trigger"], audits[-1]["time"]) == ("gap", "2024-05-06T07:10:10.252Z")

    def test_the_gaps_that_a_poll_closed_stay_closed(self, replay: Runner) -> None:
        preview = changed({"preview": change("b", "c")})
        later = event(conversation(7), at=200.0, changes=preview)
        audits = replay("--json", replay.file(self.lines(more=[later]))).audits
        # The captured conversation has no queue, whatever we decided: the same rule decides again, at once.
        assert [audit["reasons"][0]["code"] for audit in audits[-2:]] == ["WORK_ITEM_QUEUE_CHANGED"] * 2
        assert [audit["trigger"] for audit in audits[-2:]] == ["gap", "conversation"]
