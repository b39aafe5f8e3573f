"""The work-item before a write that changed its status, from the event's `changes`."""

from typing import Any, Final

import pytest

from handlers.events.event import StatusChange
from tests.handlers.wire_events import (
    UNASSIGN_WITHOUT_QUEUE,
    Json,
    captured,
    changes,
    conversation,
    event,
    read,
    work_item,
)

LAST: Final = {"enteredQueueAt": "2024-05-06T07:08:09.250Z"}


def _read(said: Json | None, **fields: Any) -> StatusChange | None:
    return read(event(work_item(3, queue="q-2", **fields), changes=said)).status_change


@pytest.mark.parametrize("said", [None, {}, changes({"rev": (2, 3)}), {"attributes": None}], ids=repr)
def test_an_event_that_does_not_say_so_has_none(said: Json | None) -> None:
    assert _read(said) is None


def test_what_the_write_left_as_it_was_is_the_snapshots() -> None:
    found = _read(changes({"status": ("queued", "routed")}), lastRevision=LAST)
    assert found == StatusChange(status="queued", queue="q-2", last_revision=LAST)


def test_what_the_write_changed_is_what_stood_before() -> None:
    said = changes({"status": ("assigned", "queued"), "lastRevision": (LAST, {})}, {"queue": ("q-1", "q-2")})
    assert _read(said) == StatusChange(status="assigned", queue="q-1", last_revision=LAST)
    said = changes({"status": ("ivr", "queued"), "lastRevision": (None, LAST)}, {"queue": (None, "q-2")})
    assert _read(said) == StatusChange(status="ivr", queue=None, last_revision=None)


def test_a_creation_and_a_conversation_have_none() -> None:
    assert read(event(work_item(1))).status_change is None
    assert read(event(conversation(2), changes=changes({"status": ("open", "done")}))).status_change is None


def test_the_captured_writes() -> None:
    found = [read(line).status_change for line in captured(UNASSIGN_WITHOUT_QUEUE)]
    assert [change.status for change in found if change is not None] == ["queued", "ivr", "queued", "ivr"]
