"""The shared field that each rule writes: the second column of tables A and B (docs/rules.md); B is for an active W.

Policy `causal` decides by this field which side is newer.
"""

from typing import Final

import pytest

from commands.work_item import WorkItem
from sync.conversation import Conversation, Field
from sync.gates import Policy
from sync.rules_forward import assignee_after_forward, work_item_writes
from sync.rules_reverse import conversation_writes, reopening_write
from tests.sync.pairs import Json, c, conversation_of, w, work_item_of
from tests.sync.test_rules import FIRES

FIELD_OF: Final[dict[str, Field]] = {
    "A1": "status", "A2": "assignee", "A3": "assignee", "A4": "ended", "A5": "queue", "A6": "queue",
    "B1": "assignee", "B2": "assignee", "B3": "assignee", "B4": "paused", "B5": "paused", "B6": "status",
    "B7": "ended", "B8": "queue", "B9": "status",
}  # fmt: skip


def fields_written(conversation: Json, item: Json, policy: Policy) -> dict[str, Field]:
    """The rules of both tables that fire on a pair, each with its field."""
    one, other = conversation_of(conversation), work_item_of(item)
    assert isinstance(one, Conversation)
    assert isinstance(other, WorkItem)
    forward = work_item_writes(one, other, policy, assignee=assignee_after_forward(one, other))
    writes = (*conversation_writes(one, other, policy), *forward)
    return {write.rule: write.field for write in writes}


@pytest.mark.parametrize("policy", list(Policy), ids=lambda policy: policy.value)
@pytest.mark.parametrize(
    ("rule", "conversation", "item"), [case[:3] for case in FIRES], ids=[case[0] for case in FIRES]
)
def test_a_rule_writes_the_field_of_its_row(rule: str, conversation: Json, item: Json, policy: Policy) -> None:
    identity = rule.split("-", maxsplit=1)[0]
    assert fields_written(conversation, item, policy)[identity] == FIELD_OF[identity]


def test_a7_writes_the_status() -> None:
    assert reopening_write().field == "status"


def test_b10_writes_ended() -> None:
    assert fields_written(c(ended=False), w(status="wrap-up"), Policy.CAUSAL)["B10"] == "ended"


@pytest.mark.parametrize("policy", list(Policy), ids=lambda policy: policy.value)
@pytest.mark.parametrize(
    ("conversation", "item"),
    [case[1:3] for case in FIRES if case[0].startswith("B")],
    ids=[case[0] for case in FIRES if case[0].startswith("B")],
)
def test_table_b_is_for_an_active_work_item(conversation: Json, item: Json, policy: Policy) -> None:
    """A completed work-item takes no write, whatever the gates let through."""
    written = fields_written(conversation, {**item, "status": "completed"}, policy)
    assert not {rule for rule in written if rule.startswith("B")}
