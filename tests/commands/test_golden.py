"""The golden check: the commands write what the old system wrote in the captured incidents.

The input is the captured work-item of revision n, the update that must have been made, and the captured instant. The
output has every captured change of revision n+1, to the letter; only `ivr.enteredAt` and `resourceFirstQueueTime` may
be added. Both engines pass: none of the five updates has a field that the funnel drops.
"""

import json
from pathlib import Path
from typing import Any, Final

import pytest
from msgspec import Struct

from commands.context import CommandContext
from commands.engines.rollout import DEFAULT_ROLLOUT, EngineRollout
from commands.execute import Applied, execute
from handlers.documents.document import changes_between, document_from_snapshot
from handlers.documents.document_mapping import updated_work_item_document, work_item_of
from tests.commands.items import LEGACY, NOW, Json, at, parsed

CAPTURED: Final = Path(__file__).parents[1] / "fixtures" / "captured"
UNASSIGN_2021: Final = "incident-2021-02-13-unassign-without-queue"
LOST_2022: Final = "incident-2022-03-02-lost-assignment"


class Transition(Struct, frozen=True, kw_only=True):
    """The step of an incident's work-item from revision `rev` to the next, by `update`."""

    incident: str
    rev: int
    update: Json


TRANSITIONS: Final = {
    "2021-1-dequeue": Transition(incident=UNASSIGN_2021, rev=1, update={"queue": None}),
    "2021-2-queue-with-rule": Transition(
        incident=UNASSIGN_2021,
        rev=2,
        update={"queue": {"id": "5f43ed5c06d0c00019b37463", "rule": "5f43ebeb34f5e6001af1bd13"}},
    ),
    "2021-3-dequeue": Transition(incident=UNASSIGN_2021, rev=3, update={"queue.id": None}),
    "2021-4-assign-from-ivr": Transition(
        incident=UNASSIGN_2021, rev=4, update={"assignedTo": "5f7d064afcc10579957f9217"}
    ),
    # Taken from the captured event's reasons (`meta.data`).
    "2022-1-queue-with-rule-from-ivr": Transition(
        incident=LOST_2022,
        rev=1,
        update={"queue": {"id": "5dea5f45c6a646001a621475", "rule": "5dea5f66f2a0ba0019fa5c86"}, "rev": 1},
    ),
}


EVERY_ENGINE: Final = pytest.mark.parametrize(
    "rollout", [DEFAULT_ROLLOUT, LEGACY], ids=lambda rollout: rollout.engine.value
)


def work_item_events(incident: str) -> dict[int, Json]:
    """The captured work-item events by revision."""
    lines = (CAPTURED / incident / "events.ndjson").read_text(encoding="utf-8").splitlines()
    events: list[Json] = [json.loads(line)["body"]["body"] for line in lines]
    return {event["data"]["attributes"]["rev"]: event for event in events if event["data"]["type"] == "work_item"}


def reproduced(transition: Transition, rollout: EngineRollout) -> tuple[dict[str, Any], dict[str, Any]]:
    """The captured changes of the next revision, and the changes that the commands make."""
    events = work_item_events(transition.incident)
    before, captured = events[transition.rev], events[transition.rev + 1]
    document = document_from_snapshot(before["data"], org=before["org"], rev=transition.rev)
    item = work_item_of(document)
    now = at(captured["data"]["attributes"]["updatedAt"])
    assert now is not None
    result = execute(item, parsed(transition.update), context=CommandContext(), now=now, rollout=rollout)
    assert isinstance(result, Applied), result
    after = updated_work_item_document(document, item, result.after)
    return plain(captured["changes"]), plain(changes_between(document, after))


def plain(changes: Json) -> dict[str, Any]:
    """Changes by path. A `before` or `after` of null counts as missing; the order of keys does not count."""
    return {
        f"{level}.{name}": {key: value for key, value in change.items() if value is not None}
        for level in ("attributes", "relationships")
        for name, change in changes[level].items()
    }


def without_what_may_be_added(captured: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """`found` without `resourceFirstQueueTime` and `ivr.enteredAt`, where the old system did not write them."""
    result = dict(found)
    if "attributes.resourceFirstQueueTime" not in captured:
        result.pop("attributes.resourceFirstQueueTime", None)
    if "attributes.ivr" in result:
        ivr = {
            key: {name: part for name, part in value.items() if name != "enteredAt"}
            if isinstance(value, dict)
            else value
            for key, value in result["attributes.ivr"].items()
        }
        unchanged = ivr.get("before", {}) == ivr.get("after", {})
        if unchanged:
            del result["attributes.ivr"]
        else:
            result["attributes.ivr"] = ivr
    return result


@EVERY_ENGINE
@pytest.mark.parametrize("transition", TRANSITIONS.values(), ids=TRANSITIONS)
def test_every_captured_change_is_reproduced(transition: Transition, rollout: EngineRollout) -> None:
    captured, found = reproduced(transition, rollout)
    assert captured
    assert without_what_may_be_added(captured, found) == captured


@EVERY_ENGINE
def test_only_fields_that_the_old_system_did_not_write_are_added(rollout: EngineRollout) -> None:
    added = {}
    for name, transition in TRANSITIONS.items():
        captured, found = reproduced(transition, rollout)
        added[name] = {path: found[path]["after"] for path in found if path not in captured}
    assert added == {
        "2021-1-dequeue": {"attributes.ivr": {"enteredAt": "2021-02-13T07:27:22.681Z"}},
        "2021-2-queue-with-rule": {},
        "2021-3-dequeue": {
            "attributes.ivr": {"enteredAt": "2021-02-13T07:27:23.192Z", "time": 0, "businessTime": 0},
        },
        "2021-4-assign-from-ivr": {},
        "2022-1-queue-with-rule-from-ivr": {"attributes.resourceFirstQueueTime": 2872},
    }


@EVERY_ENGINE
def test_the_five_in_a_row_end_where_the_incident_of_2021_ended(rollout: EngineRollout) -> None:
    """Each update on the result of the one before: the stays in ivr have times now, the rest is as captured."""
    events = work_item_events(UNASSIGN_2021)
    document: Any = document_from_snapshot(events[1]["data"], org=events[1]["org"], rev=1)
    for name, transition in TRANSITIONS.items():
        if not name.startswith("2021"):
            continue
        now = at(events[transition.rev + 1]["data"]["attributes"]["updatedAt"])
        assert now is not None
        item = work_item_of(document)
        result = execute(item, parsed(transition.update), context=CommandContext(), now=now, rollout=rollout)
        assert isinstance(result, Applied), result
        document = updated_work_item_document(document, item, result.after)
    last = events[5]["data"]
    assert document["relationships"] == last["relationships"]
    assert document["attributes"].pop("ivr") == {"time": 277 + 292, "businessTime": 277 + 292}
    assert document["attributes"] == {name: value for name, value in last["attributes"].items() if name != "ivr"}


def test_the_funnel_gives_its_command_the_captured_name_and_drops_nothing() -> None:
    names = {}
    for name, transition in TRANSITIONS.items():
        events = work_item_events(transition.incident)
        document = document_from_snapshot(events[transition.rev]["data"], org=None, rev=transition.rev)
        update = parsed(transition.update)
        command = execute(work_item_of(document), update, context=CommandContext(), now=NOW, rollout=LEGACY).command
        assert command.dropped == ()
        names[name] = command.name
        metas = [reason["meta"] for reason in events[transition.rev + 1].get("routingReasons") or []]
        assert {meta["commandName"] for meta in metas if "commandName" in meta} <= {command.name}
    assert names == {
        "2021-1-dequeue": "dequeueCommandParams",
        "2021-2-queue-with-rule": "queueCommandParams",
        "2021-3-dequeue": "dequeueCommandParams",
        "2021-4-assign-from-ivr": "assignCommandParams",
        "2022-1-queue-with-rule-from-ivr": "queueCommandParams",
    }


def test_a_captured_command_name_was_there_to_be_compared() -> None:
    metas = [reason["meta"] for reason in work_item_events(LOST_2022)[2]["routingReasons"]]
    assert [meta["commandName"] for meta in metas if "commandName" in meta] == ["queueCommandParams"]
