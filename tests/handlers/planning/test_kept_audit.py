"""Kept audit: which records a plan stores with its writes, and what is left of one that is too long."""

import json
from typing import Any, Final

import orjson
import pytest
from msgspec.structs import replace

from commands.reason import Reason, ReasonAction, ReasonCode
from commands.session import Session
from handlers.options import PolicyInUse
from handlers.planning.kept_audit import RECORD_BYTES_MAX, record_text
from handlers.ports import Document
from sync.audit import AuditOutcome, AuditRecord
from sync.gates import Policy
from tests.handlers.small_ports import START
from tests.handlers.wire_events import ORG, changes, conversation, event, log_line, published, work_item
from tests.handlers.world import EITHER_POLICY, LosingStore, World
from worker.store.documents import Collection

TRACE: Final = {"trace_id": "5126459826517261563", "span_id": "2271234982347711234"}
UNASSIGNED: Final = changes({"assignedUsers": (["u-1"], [])})


def kept(world: World) -> list[Document]:
    return list(world.store.documents(Collection.SYNC_AUDIT))


def records(world: World) -> list[dict[str, Any]]:
    return [orjson.loads(each["record"]) for each in kept(world)]


def assigned(**options: Any) -> World:
    """An assigned pair in a queue; the audit is kept."""
    options = {"keeps_audit": True, **options}
    return World(**options).put(
        conversation(4, users=("u-1",), queue="q-1"),
        work_item(7, user="u-1", queue="q-1", session="s-1", status="assigned"),
    )


@EITHER_POLICY
async def test_who_unassigned_this_and_why_stands_in_one_record(policy: PolicyInUse) -> None:
    world = assigned(policy=policy)
    unassigned = event(conversation(5, queue="q-1"), changes=UNASSIGNED, client="agent-app")
    end = await world.one(log_line(published(unassigned), dd=TRACE))
    [document], [record] = kept(world), records(world)
    assert {name: document[name] for name in ("conversationId", "org", "at")} == {
        "conversationId": "c-1",
        "org": ORG,
        "at": world.clock.now(),
    }
    assert record == orjson.loads(orjson.dumps(end.audit.as_wire())), "the record is the line's"
    assert record["updatedWorkItem"] == {"assignedTo": None, "rev": 7}
    assert record["before"] == {"conversation": None, "workItem": {"assignedTo": "u-1"}}
    [written] = record["written"]
    assert world.announced()[0]["body"]["id"] == written.pop("eventId")
    assert written == {
        "side": "work-item",
        "id": "w-1",
        "rev": 8,
        "isSync": True,
        "changes": {
            "status": {"before": "assigned", "after": "queued"},
            "assignedTo": {"before": "u-1", "after": None},
        },
    }
    [reason] = record["reasons"]
    assert reason["meta"] == {"rule": "B3", "policy": policy.value}
    assert record["policy"] == policy.value
    assert record["event"] == {
        "id": unassigned["id"],
        "name": "kustomer.conversation.update",
        "rev": 5,
        "client": "agent-app",
        "isSync": False,
        "publishedAt": "2024-05-06T07:08:09.250Z",
        "changes": {"assignedUsers": {"before": ["u-1"], "after": []}},
    }
    assert record["dd"] == TRACE


async def test_without_the_option_nothing_is_kept() -> None:
    world = assigned(keeps_audit=False)
    end = await world.one(event(conversation(5, queue="q-1"), changes=UNASSIGNED))
    assert end.audit.outcome is AuditOutcome.APPLIED
    assert kept(world) == []


async def test_an_event_that_changed_nothing_of_ours_leaves_no_record() -> None:
    world = assigned()
    await world.one(event(conversation(5, users=("u-1",), queue="q-1", preview="hello")))
    assert world.store.state("c-1").version == 1
    assert kept(world) == []


async def test_an_unassignment_with_nothing_left_to_do_is_kept() -> None:
    """Two writes in one batch: the decision goes by the second one, and the first one is told all the same."""
    world = assigned()
    back = changes({"assignedUsers": ([], ["u-1"])})
    await world.take(
        event(conversation(5, queue="q-1"), changes=UNASSIGNED, at=1, client="agent-app"),
        event(conversation(6, users=("u-1",), queue="q-1"), changes=back, at=2),
    )
    told = [(each["outcome"], each["event"]["rev"], each["event"]["changes"]) for each in records(world)]
    assert told == [
        ("skipped", 5, {"assignedUsers": {"before": ["u-1"], "after": []}}),
        ("skipped", 6, {"assignedUsers": {"before": [], "after": ["u-1"]}}),
    ]


async def test_an_update_that_does_not_say_what_it_changed_is_kept() -> None:
    world = assigned()
    await world.one(event(conversation(5, users=("u-1",), queue="q-1"), changes=None))
    assert [each["event"]["rev"] for each in records(world)] == [5]


async def test_a_waiting_pair_and_the_poll_that_decides_it_are_kept() -> None:
    world = assigned()
    taken = changes({"status": ("queued", "assigned")}, {"assignedTo": (None, "u-1")})
    await world.one(event(work_item(7, user="u-1", queue="q-1", session="s-1", status="assigned"), changes=taken))
    queued = event(
        work_item(9, queue="q-1", status="queued"),
        changes=changes({"status": ("assigned", "queued")}, {"assignedTo": ("u-1", None)}),
    )
    await world.one(queued)
    waiting = records(world)[-1]
    assert waiting["suppressed"][0]["code"] == "FIELD_WAITS"
    assert waiting["reasons"][0]["code"] == "AWAITING_EARLIER_EVENT"
    [polled] = (await world.handler.close_gaps(["c-1"], world.clock.now().replace(year=2030))).pairs
    assert polled.audit.outcome is AuditOutcome.APPLIED
    decided = records(world)[-1]
    assert decided["trigger"] == "gap"
    assert decided["event"] is None
    assert decided["reasons"][0]["meta"]["rule"] == "A3"
    assert decided["before"] == {"conversation": {"assignedUsers": ["u-1"]}, "workItem": None}
    assert [(each["side"], each["rev"]) for each in decided["written"]] == [("conversation", 5)]


async def test_a_repeated_event_is_kept_once() -> None:
    world = assigned()
    unassigned = event(conversation(5, queue="q-1"), changes=UNASSIGNED)
    await world.one(unassigned)
    await world.one(unassigned)
    assert len(kept(world)) == 1


async def test_an_event_that_goes_back_keeps_none_and_the_next_delivery_does() -> None:
    world = World(lambda store: LosingStore(store, "c-1", 3), keeps_audit=True, conflict_attempts_max=2)
    world.put(conversation(4, users=("u-1",)), work_item(7, user="u-1", status="assigned"))
    end = await world.one(event(conversation(5), changes=UNASSIGNED))
    assert end.audit.outcome is AuditOutcome.FAILED
    assert kept(world) == []
    await world.one(event(conversation(5), changes=UNASSIGNED))
    assert [each["outcome"] for each in records(world)] == ["applied"]


async def test_a_reopened_conversation_of_an_absent_agent_says_who_was_unassigned() -> None:
    world = World(keeps_audit=True, create_work_items=True, unassign_on_unavailable=True)
    world.put(conversation(4, users=("u-3",), status="done"))
    world.store.put_session(Session(id="s-3", user="u-3", active=False))
    done = changes({"status": ("open", "done")})
    await world.one(event(conversation(4, users=("u-3",), status="done"), changes=done))
    world.clock.at = START.replace(year=2025)
    opened = changes({"status": ("done", "open")})
    await world.one(event(conversation(5, users=("u-3",)), changes=opened))
    record = records(world)[-1]
    assert record["before"]["conversation"] == {"assignedUsers": ["u-3"]}
    assert [each["code"] for each in record["reasons"]][:1] == ["USER_UNAVAILABLE"]
    assert [(each["side"], each["rev"], each["isSync"]) for each in record["written"]] == [
        ("conversation", 6, False), ("work-item", 1, False),
    ]  # fmt: skip
    assert record["written"][0]["changes"] == {"assignedUsers": {"before": ["u-3"], "after": []}}


# The bound


def a_record(**fields: Any) -> AuditRecord:
    bare = AuditRecord(
        event={"id": "e-1", "name": "kustomer.conversation.update", "rev": 5},
        outcome=AuditOutcome.APPLIED,
        trigger="conversation",
        policy=Policy.CAUSAL,
        reasons=(
            Reason(action=ReasonAction.SYNC_WORK_ITEM, code=ReasonCode.CONVERSATION_ASSIGNED, meta={"rule": "B1"}),
        ),
        conversation_id="c-1",
    )
    return replace(bare, **fields)


def test_a_usual_record_is_kept_as_it_is() -> None:
    record = a_record(updated_work_item={"assignedTo": "u-1", "rev": 2})
    assert orjson.loads(record_text(record)) == orjson.loads(orjson.dumps(record.as_wire()))


def test_a_record_that_is_too_long_is_cut_and_says_so() -> None:
    users = [f"user-{n}" for n in range(5_000)]
    text = record_text(a_record(before={"conversation": {"assignedUsers": users}, "workItem": None}))
    assert len(text.encode()) <= RECORD_BYTES_MAX
    record = orjson.loads(text)
    assert record["shortened"] is True
    assert record["before"]["conversation"]["assignedUsers"] == users[:12]
    assert record["reasons"][0]["meta"] == {"rule": "B1"}
    assert "shortened" not in orjson.loads(record_text(a_record()))


@pytest.mark.parametrize(
    "wide",
    [
        {"queue": {f"k{n}" * 90: "v" * 900 for n in range(900)}},
        {"a": [[["x" * 200] * 20] * 20] * 20},
        {"big": 2**70, "half": "\ud800", "words": "\u00e9" * 9_000},
    ],
    ids=["wide", "deep", "odd"],
)
def test_whatever_a_record_holds_its_text_is_bounded_and_readable(wide: dict[str, Any]) -> None:
    text = record_text(a_record(updated_work_item=wide, shadow=wide, before={"conversation": wide, "workItem": wide}))
    assert len(text.encode()) <= RECORD_BYTES_MAX
    assert json.loads(text)["shortened"] is True
