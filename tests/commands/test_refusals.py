"""The refusals' messages, to the letter: each names the field, the status and the remedy.

The sender of an update reads these sentences and nothing else, so they stand here whole.
"""

from typing import Any, Final

import pytest

from commands.context import CommandContext
from commands.engines.rollout import DEFAULT_ROLLOUT, EngineRollout, UpdateOrigin
from commands.execute import Refused, execute
from commands.reason import Refusal, RefusalCode
from commands.session import Session
from commands.update import parse_update
from commands.work_item import Status
from tests.commands.items import LEGACY, NOW, Json, parsed, refused
from tests.commands.stages import a

FIELDS: Final = "queue, assignedTo, status, paused, routed, accepted"

INVALID: Final[list[tuple[Any, str]]] = [
    (None, "the update must be an object, not null"),
    (["queue"], "the update must be an object, not ['queue']"),
    ({}, f"the update is empty: name at least one of {FIELDS}"),
    ({"rev": 3}, f"the update is empty: name at least one of {FIELDS}"),
    ({"colour": "red"}, f"unknown field 'colour': an update may have {FIELDS}, rev"),
    ({"assignedTo": 5}, "'assignedTo' must be null or a user id, not 5"),
    ({"status": "open"}, "'status' cannot be set to 'open': only to 'wrap-up' or 'completed'"),
    ({"paused": "yes"}, "'paused' must be true or false, not 'yes'"),
    ({"paused": True, "rev": 0}, "'rev' must be a whole number above 0, not 0"),
    ({"queue": 5}, "'queue' must be null, an id or an object, not 5"),
    ({"queue": ""}, "'queue' must be an id, not ''"),
    ({"queue": {}}, "'queue' names no queue: give its id or key, or null to leave the queue"),
    ({"queue": {"id": None, "rule": "r1"}}, "'queue.id' is null, so 'queue' can have no other part"),
    ({"queue": {"id": "q1", "key": "sales"}}, "'queue' has an id and a key: give one of them"),
    ({"queue": {"id": 5}}, "'queue.id' must be null or an id, not 5"),
    ({"queue": {"key": 5}}, "'queue.key' must be null or an id, not 5"),
    ({"queue": {"id": "q1", "rule": 1}}, "'queue.rule' must be null or an id, not 1"),
    ({"queue": {"id": "q1", "enteredAt": "yesterday"}},
     "'queue.enteredAt' must be an ISO 8601 time with a zone, not 'yesterday'"),
    ({"queue": {"id": "q1", "name": "x"}}, "unknown field 'queue.name': 'queue' may have id, key, rule, enteredAt"),
    ({"queue": "q1", "queue.rule": "r1"}, "'queue' stands twice, nested and dotted: send it once"),
    ({"routed": "u1"}, "'routed' must be an object, not 'u1'"),
    ({"routed": {"to": "u1", "timedOut": "u1"}}, "'routed' must have exactly one of 'to', 'rejectedBy', 'timedOut'"),
    ({"routed": {"to": 5}}, "'routed.to' must be an id, not 5"),
    ({"routed": {"to": "u1", "workSession": 5}}, "'routed.workSession' must be null or an id, not 5"),
    ({"routed": {"timedOut": "u1", "workSession": "s"}}, "'routed.workSession' goes with 'routed.to' alone"),
    ({"routed": {"to": "u1", "by": "u2"}},
     "unknown field 'routed.by': 'routed' may have to, rejectedBy, timedOut, workSession"),
    ({"accepted": "u1"}, "'accepted' must be an object, not 'u1'"),
    ({"accepted": {"by": 5}}, "'accepted.by' must be an id, not 5"),
    ({"accepted": {"by": "u1", "workSession": 5}}, "'accepted.workSession' must be null or an id, not 5"),
    ({"accepted": {"by": "u1", "to": "u2"}}, "unknown field 'accepted.to': 'accepted' may have by, workSession"),
    ({"status": "open", "paused": 1},
     "'status' cannot be set to 'open': only to 'wrap-up' or 'completed'; 'paused' must be true or false, not 1"),
]  # fmt: skip

NOT_CARRIED_OUT: Final[list[tuple[RefusalCode, Status, Json, EngineRollout, str]]] = [
    (RefusalCode.UNSUPPORTED_COMBINATION, Status.ROUTED, {"routed": {"to": "u1"}, "queue": None, "paused": True},
     DEFAULT_ROLLOUT, "'routed' cannot go with 'queue', 'paused': send them as two updates"),
    (RefusalCode.TOO_MANY_FIELDS, Status.IVR, {"queue": "q1", "paused": True},
     EngineRollout(fields_max={UpdateOrigin.SYNC: 1}),
     "an update from 'sync' may have 1 fields, this one has 2 (queue, paused): send them as several updates"),
    (RefusalCode.REVISION_CONFLICT, Status.IVR, {"paused": True, "rev": 6}, DEFAULT_ROLLOUT,
     "'rev' is 6, but work-item w is at revision 7: read it again"),
    (RefusalCode.WORK_ITEM_COMPLETED, Status.COMPLETED, {"assignedTo": "u1", "paused": True}, DEFAULT_ROLLOUT,
     "work-item w is completed and takes no assignedTo, paused: only a new work-item can be worked on"),
    (RefusalCode.UNKNOWN_QUEUE, Status.IVR, {"queue": {"key": "unheard-of"}}, DEFAULT_ROLLOUT,
     "'queue.key' 'unheard-of' names no queue: use a known key, or the queue's id"),
    (RefusalCode.INVALID_UPDATE, Status.IVR,
     {"queue": {"id": "q1", "enteredAt": "2022-03-02T19:13:26.159Z"}}, DEFAULT_ROLLOUT,
     ("'queue.enteredAt' 2022-03-02T19:13:26.159Z is later than now, 2022-03-02T19:13:26.158Z: leave it out, or name "
      "the time at which the work-item entered the queue")),
    (RefusalCode.NO_QUEUE, Status.ASSIGNED, {"assignedTo": None}, LEGACY,
     ("'assignedTo' cannot be cleared: work-item w, which is assigned, has no queue to go back to: name a 'queue' "
      "(null for none) in an update of its own")),
    (RefusalCode.NOT_QUEUED, Status.IVR, {"routed": {"to": "u1"}}, DEFAULT_ROLLOUT,
     "'routed.to' does not fit work-item w, which is ivr: queue it first"),
    (RefusalCode.NOT_ROUTED, Status.QUEUED, {"routed": {"rejectedBy": "u1"}}, DEFAULT_ROLLOUT,
     "'routed.rejectedBy' does not fit work-item w, which is queued: only a routed one can be put back"),
    (RefusalCode.NOT_ROUTED_TO_USER, Status.ROUTED, {"routed": {"timedOut": "u2"}}, DEFAULT_ROLLOUT,
     "'routed.timedOut' does not fit work-item w, which is routed: only the user it was offered to can give it back"),
]  # fmt: skip


@pytest.mark.parametrize(("raw", "sentence"), INVALID, ids=[sentence[:40] for _, sentence in INVALID])
def test_messages_of_updates_that_cannot_be_parsed(raw: Any, sentence: str) -> None:
    refusal = parse_update(raw)
    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.message) == (RefusalCode.INVALID_UPDATE, sentence)
    assert not refusal.faults or "; ".join(refusal.faults) == sentence


@pytest.mark.parametrize(
    ("code", "status", "update", "rollout", "sentence"),
    NOT_CARRIED_OUT,
    ids=[case[0].value for case in NOT_CARRIED_OUT],
)
def test_messages_of_updates_that_are_not_carried_out(
    code: RefusalCode, status: Status, update: Json, rollout: EngineRollout, sentence: str
) -> None:
    assert refused(a(status), update, rollout=rollout) == Refusal(code=code, message=sentence)


def test_every_code_has_its_message() -> None:
    others = {RefusalCode.SESSION_LOCKED}
    assert others | {case[0] for case in NOT_CARRIED_OUT} == set(RefusalCode)


def test_the_message_of_a_locked_session() -> None:
    context = CommandContext(sessions={"s1": Session(id="s1", user="u1", pending_item="w9")})
    result = execute(a(Status.QUEUED), parsed({"routed": {"to": "u1"}}), context=context, now=NOW)
    assert isinstance(result, Refused)
    assert result.refusal == Refusal(
        code=RefusalCode.SESSION_LOCKED,
        message="'routed.to' cannot offer work-item w on session s1, where work-item w9 is pending: "
        "wait until that offer ends, or name another session",
    )


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        ({"resume": 1}, "'resume' must be true or false, not 1"),
        ({"resume": True, "colour": 1}, f"unknown field 'colour': an update may have {FIELDS}, rev, resume"),
    ],
    ids=str,
)
def test_messages_of_wrong_updates_from_the_sync(raw: Json, sentence: str) -> None:
    assert parse_update(raw, from_sync=True) == Refusal(code=RefusalCode.INVALID_UPDATE, message=sentence)


@pytest.mark.parametrize(
    ("value", "shown"),
    [("x" * 38, f"'{'x' * 38}'"), ("x" * 39, f"'{'x' * 36}..."), ("x" * 5000, f"'{'x' * 36}...")],
    ids=["40", "41", "5002"],
)
def test_a_value_is_shown_in_at_most_forty_characters(value: str, shown: str) -> None:
    refusal = parse_update({"status": value})
    assert isinstance(refusal, Refusal)
    assert refusal.message == f"'status' cannot be set to {shown}: only to 'wrap-up' or 'completed'"
    assert len(shown) == 40
