"""What an update asks and the work-item's status makes no use of is named in the command's record."""

from typing import Final

import pytest

from commands.execute import Refused, execute
from commands.work_item import Status
from tests.commands.items import CONTEXT, NOW, Json, parsed
from tests.commands.stages import a


class TestIgnored:
    """What the status makes no use of is named, whether or not the rest of the update changes something."""

    KEPT: Final = "2022-03-02T18:00:00.000Z"

    @pytest.mark.parametrize(
        ("status", "update", "ignored"),
        [
            (Status.QUEUED, {"queue": {"id": "q1", "enteredAt": KEPT}}, ("queue.enteredAt",)),
            (Status.ASSIGNED, {"queue": {"id": "q2", "enteredAt": KEPT}}, ("queue.enteredAt",)),
            (Status.WRAP_UP, {"queue": {"id": "q2", "enteredAt": KEPT}}, ("queue.enteredAt",)),
            (Status.IVR, {"queue": {"id": "q2", "enteredAt": KEPT}, "assignedTo": "u1"}, ("queue.enteredAt",)),
            (Status.IVR, {"queue": {"id": "q2", "enteredAt": KEPT}}, ()),
            (Status.QUEUED, {"queue": {"id": "q2", "enteredAt": KEPT}}, ()),
            (Status.ASSIGNED, {"queue": {"id": "q2", "enteredAt": KEPT}, "assignedTo": None}, ()),
            (Status.ASSIGNED, {"resume": True}, ("resume",)),
            (Status.WRAP_UP, {"resume": True}, ()),
            (Status.QUEUED, {"routed": {"to": "u2", "workSession": "s1"}}, ("routed.workSession",)),
            (Status.QUEUED, {"routed": {"to": "u3", "workSession": "s3"}}, ("routed.workSession",)),
            (Status.QUEUED, {"routed": {"to": "u2", "workSession": "s2"}}, ()),
            (Status.ROUTED, {"accepted": {"by": "u2", "workSession": "s9"}}, ("accepted.workSession",)),
            (Status.ROUTED, {"accepted": {"by": "u2", "workSession": "s2"}}, ()),
            (Status.QUEUED, {"paused": True}, ()),
        ],
        ids=str,
    )
    def test_it_is_named(self, status: Status, update: Json, ignored: tuple[str, ...]) -> None:
        assert execute(a(status), parsed(update), context=CONTEXT, now=NOW).command.ignored == ignored

    def test_a_refusal_names_nothing_as_ignored(self) -> None:
        update = parsed({"queue": {"key": "unheard-of", "enteredAt": self.KEPT}})
        result = execute(a(Status.ASSIGNED), update, context=CONTEXT, now=NOW)
        assert isinstance(result, Refused)
        assert result.command.ignored == ()
