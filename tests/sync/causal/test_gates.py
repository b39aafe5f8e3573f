"""The gates of policy `causal`, and the events that pass them but not those of `legacy` (docs/rules.md, *Gates*)."""

from typing import Any, Final

import pytest

from commands.reason import ReasonCode
from commands.work_item import Status
from sync.conversation import ConversationStatus
from sync.gates import Policy, Side, SkipCode, first_closed_gate
from tests.sync.observations import a_conversation, a_work_item

OPEN: Final[dict[str, Any]] = {
    "supported": True,
    "is_sync": False,
    "rev": None,
    "conversation": a_conversation(rev=6),
    "item": a_work_item(rev=3),
    "policy": Policy.CAUSAL,
}
BOTH = pytest.mark.parametrize("side", ["conversation", "work-item"])
STALE: Final[dict[Side, int]] = {"conversation": 5, "work-item": 2}


def closed(side: Side, **overrides: Any) -> SkipCode | None:
    return first_closed_gate(**{**OPEN, "side": side, **overrides})


@BOTH
class TestEveryGate:
    @pytest.mark.parametrize(
        ("overrides", "skip"),
        [
            ({}, None),
            ({"supported": False}, ReasonCode.UNSUPPORTED_EVENT),
            ({"is_sync": True}, ReasonCode.IS_SYNC),
            ({"conversation": None}, ReasonCode.NO_CONVERSATION),
            ({"item": None}, ReasonCode.NO_ACTIVE_WORK_ITEM),
            ({"rev": 9}, None),
            ({"rev": 1}, ReasonCode.STALE_REV),
        ],
        ids=lambda overrides: getattr(overrides, "value", None) or "-".join(overrides or ["open"]),
    )
    def test_by_its_code(self, side: Side, overrides: dict[str, Any], skip: SkipCode | None) -> None:
        assert closed(side, **overrides) is skip

    def test_the_first_closed_gate_names_the_reason(self, side: Side) -> None:
        overrides: dict[str, Any] = {"supported": False, "is_sync": True, "conversation": None, "item": None, "rev": 1}
        order = [closed(side, **overrides)]
        for opened in ("supported", "is_sync", "conversation", "item", "rev"):
            overrides[opened] = OPEN[opened]
            order.append(closed(side, **overrides))
        assert order == [
            ReasonCode.UNSUPPORTED_EVENT,
            ReasonCode.IS_SYNC,
            ReasonCode.NO_CONVERSATION,
            ReasonCode.NO_ACTIVE_WORK_ITEM,
            ReasonCode.STALE_REV,
            None,
        ]


@BOTH
class TestAnEventThatMayReleaseAWaitingField:
    """A sync's event or one of an unsupported name is observed, so it may decide a field."""

    @pytest.mark.parametrize("overrides", [{"is_sync": True}, {"supported": False}], ids=["sync", "unsupported"])
    def test_it_passes_where_a_field_waits(self, side: Side, overrides: dict[str, Any]) -> None:
        assert closed(side, **overrides, has_waiting_field=True) is None

    @pytest.mark.parametrize("overrides", [{"is_sync": True}, {"supported": False}], ids=["sync", "unsupported"])
    def test_even_a_stale_one(self, side: Side, overrides: dict[str, Any]) -> None:
        assert closed(side, **overrides, has_waiting_field=True, rev=STALE[side]) is None

    def test_not_before_there_is_a_pair(self, side: Side) -> None:
        assert closed(side, is_sync=True, has_waiting_field=True, conversation=None) is ReasonCode.NO_CONVERSATION
        assert closed(side, is_sync=True, has_waiting_field=True, item=None) is ReasonCode.NO_ACTIVE_WORK_ITEM

    def test_a_stale_duplicate_of_an_outside_event_releases_nothing(self, side: Side) -> None:
        assert closed(side, has_waiting_field=True, rev=STALE[side]) is ReasonCode.STALE_REV


@BOTH
class TestStaleButNews:
    def test_it_is_reconciled(self, side: Side) -> None:
        assert closed(side, rev=STALE[side], is_new_revision=True) is None

    def test_a_syncs_is_not(self, side: Side) -> None:
        assert closed(side, rev=STALE[side], is_new_revision=True, is_sync=True) is ReasonCode.IS_SYNC


@BOTH
class TestACompletionStillToBeTakenIn:
    COMPLETED: Final = a_work_item(status=Status.COMPLETED)

    def test_on_either_sides_event(self, side: Side) -> None:
        assert closed(side, item=self.COMPLETED) is None

    @pytest.mark.parametrize(
        "overrides", [{"status": ConversationStatus.DONE}, {"deleted": True}], ids=["done", "deleted"]
    )
    def test_not_where_the_conversation_is(self, side: Side, overrides: dict[str, Any]) -> None:
        over = a_conversation(rev=6, **overrides)
        assert closed(side, item=self.COMPLETED, conversation=over) is ReasonCode.NO_ACTIVE_WORK_ITEM
