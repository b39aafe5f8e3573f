"""The kinds of differences: every line of simulated fleets has its explanation, and each mutant of one has none."""

from collections.abc import Callable
from typing import Any, Final

import orjson
import pytest

from tests.worker.shadow.lines import Json, fleet_log, lines_of
from worker.shadow.audit_lines import AuditLine, read_line
from worker.shadow.contradictions import RULES
from worker.shadow.differences import Difference, DifferenceKind, differences_of

KINDS: Final = DifferenceKind


def differences(line: Json) -> list[Difference]:
    read = read_line(orjson.dumps(line))
    assert isinstance(read, AuditLine), read
    return differences_of(read)


def differing(*, routes: bool = False) -> list[Json]:
    return [line for line in lines_of(fleet_log(3, routes=True) if routes else fleet_log()) if line.get("shadow")]


@pytest.mark.thorough
@pytest.mark.parametrize("routes", [False, True])
def test_each_difference_of_a_simulated_fleet_is_explained(*, routes: bool) -> None:
    found = [each for line in differing(routes=routes) for each in differences(line)]
    assert [each for each in found if each.kind is KINDS.UNEXPLAINED] == []
    common = {KINDS.LOSS_PREVENTED, KINDS.WAITS, KINDS.LATE_NEWS, KINDS.OTHER_DIRECTION, KINDS.WIDER_RULE}
    assert {each.kind for each in found} >= common | {KINDS.NARROWER_RULE}
    assert (KINDS.AFTER_ROUTING in {each.kind for each in found}) is routes


def rules(decision: Json) -> list[str]:
    return [each["meta"]["rule"] for each in decision["reasons"] if "rule" in each["meta"]]


def withheld(line: Json, code: str) -> set[str]:
    """The fields that `legacy` wrote and `causal` suppresses with the code."""
    fields = {RULES[rule].field for rule in set(rules(line)) - set(rules(line["shadow"]))}
    return {each["field"] for each in line["shadow"]["suppressed"] if each["code"] == code} & fields


def forget(line: Json, code: str) -> bool:
    """Take the suppression out, where no other reason explains that a rule does not write."""
    shadow = line["shadow"]
    mine = set(rules(line)) - set(rules(shadow)) - {"A6", "B7"}
    if not any(RULES[rule].field in withheld(line, code) for rule in mine) or shadow["updatedWorkItem"]:
        return False
    shadow["suppressed"] = [each for each in shadow["suppressed"] if each["code"] != code]
    return True


def no_reason_for_a_loss(line: Json) -> bool:
    return forget(line, "WORK_ITEM_IS_NEWER")


def no_reason_for_a_wait(line: Json) -> bool:
    return forget(line, "FIELD_WAITS")


def revisions_that_say_otherwise(line: Json) -> bool:
    found = [
        each
        for each in line["shadow"]["suppressed"]
        if each["code"] == "CONVERSATION_IS_NEWER" and each["field"] in {"assignee", "queue", "ended"}
    ]
    for each in found:
        each["knownRev"] = each["conversationRev"]
    return bool(found)


def the_other_side_is_newer(line: Json) -> bool:
    found = [each for each in line["shadow"]["suppressed"] if each["code"] == "CONVERSATION_IS_NEWER"]
    for each in found:
        each["code"] = "WORK_ITEM_IS_NEWER"
    return any(each["field"] != "status" for each in found)


def writes_what_it_withholds(line: Json) -> bool:
    shadow = line["shadow"]
    if not any(each["field"] == "assignee" and each["code"] == "FIELD_WAITS" for each in shadow["suppressed"]):
        return False
    shadow |= {"outcome": "applied", "updatedWorkItem": {"assignedTo": "nobody"}}
    meta = {"rule": "B1", "policy": "causal"}
    shadow["reasons"] = [{"action": "SYNC_WORK_ITEM", "code": "CONVERSATION_ASSIGNED", "meta": meta}]
    return True


def another_value(line: Json) -> bool:
    update = line["shadow"]["updatedWorkItem"] or {}
    if "B6" not in rules(line["shadow"]) or "status" not in update:
        return False
    update["status"] = "wrap-up"
    return True


def another_agent(line: Json) -> bool:
    update = line["shadow"]["updatedWorkItem"] or {}
    if not ("B1" in rules(line) and "B1" in rules(line["shadow"])):
        return False
    update["assignedTo"] = "somebody"
    return True


def a_write_without_a_rule(line: Json) -> bool:
    update = line["shadow"]["updatedWorkItem"]
    if update is None or "paused" in update:
        return False
    update["paused"] = True
    return True


def a_rule_without_its_write(line: Json) -> bool:
    update = line["shadow"]["updatedConversation"]
    if not update:
        return False
    update.clear()
    return True


def skipped_with_a_write(line: Json) -> bool:
    line["shadow"]["outcome"] = "skipped"
    return bool(line["shadow"]["updatedWorkItem"])


def a_rule_of_nobody(line: Json) -> bool:
    found = [each for each in line["shadow"]["reasons"] if "rule" in each["meta"]]
    for each in found:
        each["meta"]["rule"] = "C1"
    return bool(found)


def the_same_as_legacy(line: Json) -> bool:
    line["shadow"] |= {
        "outcome": line["outcome"],
        "updatedConversation": _without_rev(line["updatedConversation"]),
        "updatedWorkItem": _without_rev(line["updatedWorkItem"]),
        "reasons": [
            each | {"meta": each["meta"] | {"policy": "causal"}} if "rule" in each["meta"] else each
            for each in line["reasons"]
        ],
        "suppressed": [],
    }
    return bool(line["outcome"] == "applied")


def a_conversation_that_is_not_stored(line: Json) -> bool:
    if not rules(line["shadow"]) or line["outcome"] != "skipped":
        return False
    line["reasons"] = [{"action": "SKIP_SYNC", "code": "NO_CONVERSATION", "meta": {}}]
    return True


def a_rule_that_legacy_has_too(line: Json) -> bool:
    """`causal` writes by B6 on a conversation's event that is not late, and `legacy` does not."""
    if line["trigger"] != "conversation" or rules(line["shadow"]) != ["B6"]:
        return False
    line["reasons"] = [{"action": "SKIP_SYNC", "code": "IN_SYNC", "meta": {}}]
    line |= {"outcome": "skipped", "updatedConversation": None, "updatedWorkItem": None}
    return True


def waits_for_nothing(line: Json) -> bool:
    shadow = line["shadow"]
    shadow["suppressed"] = [each for each in shadow["suppressed"] if each["code"] != "FIELD_WAITS"]
    return any(each["code"] == "AWAITING_EARLIER_EVENT" for each in shadow["reasons"])


def of_policy_causal(line: Json) -> bool:
    line["policy"] = "causal"
    return True


def _without_rev(update: dict[str, Any] | None) -> dict[str, Any] | None:
    return None if update is None else {key: value for key, value in update.items() if key != "rev"}


MUTANTS: Final[list[Callable[[Json], bool]]] = [
    no_reason_for_a_loss, no_reason_for_a_wait, revisions_that_say_otherwise, the_other_side_is_newer,
    writes_what_it_withholds, another_value, another_agent, a_write_without_a_rule, a_rule_without_its_write,
    skipped_with_a_write, a_rule_of_nobody, the_same_as_legacy, a_conversation_that_is_not_stored,
    a_rule_that_legacy_has_too, of_policy_causal, waits_for_nothing,
]  # fmt: skip
"""Each changes a line, if it can be changed so, and returns whether it did."""


@pytest.mark.thorough
@pytest.mark.parametrize("mutate", MUTANTS, ids=lambda mutate: mutate.__name__)
def test_a_difference_that_the_rules_do_not_explain_is_unexplained(mutate: Callable[[Json], bool]) -> None:
    mutants = [line for line in differing() if mutate(line)]
    assert mutants, "the fleet wrote no such line"
    for line in mutants:
        found = differences(line)
        assert any(each.kind is KINDS.UNEXPLAINED and each.detail for each in found), (line, found)
