"""What the decision of `causal` on an audit line says that cannot hold together. Pure.

Source: docs/rules.md, tables A and B and *Policy `causal`*.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, assert_never

from msgspec import Struct

from commands.reason import ReasonAction, ReasonCode
from sync.conversation import Field
from worker.shadow.audit_lines import AuditLine, LoggedDecision, LoggedSuppression


class RuleWrite(Struct, frozen=True):
    """A rule's field, and the keys that it writes. A value of `...` may be any value but null."""

    field: Field
    fields: Mapping[str, Any]


RULES: Final = {
    "A1": RuleWrite("status", {"status": "done"}),
    "A2": RuleWrite("assignee", {"assignedUsers": ...}),
    "A3": RuleWrite("assignee", {"assignedUsers": []}),
    "A4": RuleWrite("ended", {"ended": True}),
    "A5": RuleWrite("queue", {"queue": ...}),
    "A6": RuleWrite("queue", {"queue": {"id": None}}),
    "A7": RuleWrite("status", {"status": "open"}),
    "B1": RuleWrite("assignee", {"assignedTo": ...}),
    "B2": RuleWrite("assignee", {"assignedTo": None, "queue": None}),
    "B3": RuleWrite("assignee", {"assignedTo": None}),
    "B4": RuleWrite("paused", {"paused": True}),
    "B5": RuleWrite("paused", {"paused": False}),
    "B6": RuleWrite("status", {"status": "completed"}),
    "B7": RuleWrite("ended", {"status": "wrap-up"}),
    "B8": RuleWrite("queue", {"queue": None}),
    "B9": RuleWrite("status", {"status": "completed"}),
    "B10": RuleWrite("ended", {"resume": True}),
}
"""docs/rules.md, tables A and B. B8 writes the conversation's queue, or null."""


def contradictions(line: AuditLine, causal: LoggedDecision) -> Iterator[str]:
    """What speaks against the line and its decision of `causal`; nothing if it holds together."""
    if line.policy != "legacy":
        yield f"the line has a shadow, but its policy is {line.policy}"
    rules = [reason.rule for reason in causal.reasons if reason.rule is not None]
    foreign = {*rules, *(each.rule for each in line.reasons if each.rule is not None)} - RULES.keys()
    if foreign:
        yield f"rule {min(foreign)} is not known to this version"
        return
    conversation, item = causal.updated_conversation, causal.updated_work_item
    if (causal.outcome == "applied") is not (conversation is not None or item is not None):
        yield f"its outcome is {causal.outcome}, against its writes"
    yield from _misplaced(causal)
    waits = any(reason.code == ReasonCode.AWAITING_EARLIER_EVENT for reason in causal.reasons)
    if waits and not any(each.code == "FIELD_WAITS" for each in causal.suppressed):
        yield "it waits for an event, and no field waits"
    yield from _written_otherwise([rule for rule in rules if rule.startswith("A")], conversation)
    yield from _written_otherwise([rule for rule in rules if rule.startswith("B")], item)
    tables: dict[Field, set[str]] = {}
    for rule in rules:
        tables.setdefault(RULES[rule].field, set()).add(rule[0])
    for field, both in tables.items():
        if len(both) > 1:
            yield f"it writes {field} in both directions"
    for each in causal.suppressed:
        yield from _unfounded(each, tables.get(each.field, set()))


def _misplaced(causal: LoggedDecision) -> Iterator[str]:
    """The rules that stand under the action of the other table, or under another policy."""
    for reason in causal.reasons:
        if reason.rule is None:
            continue
        reverse = reason.rule.startswith("A")
        expected = ReasonAction.SYNC_CONVERSATION if reverse else ReasonAction.SYNC_WORK_ITEM
        if reason.action != expected or reason.meta.get("policy") != "causal":
            yield f"rule {reason.rule} stands under {reason.action}, policy {reason.meta.get('policy')}"


def _written_otherwise(rules: list[str], written: Mapping[str, Any] | None) -> Iterator[str]:
    """The rules whose values are not written, and the keys that no rule writes."""
    left = dict(written or {})
    left.pop("rev", None)
    if written is not None and not rules:
        yield f"no rule says why it writes {', '.join(sorted(left)) or 'nothing'}"
        return
    allowed = {key for rule in rules for key in RULES[rule].fields}
    if {"B2", "B3"} & set(rules):
        allowed.add("resume")
    for key in sorted(set(left) - allowed):
        yield f"no rule says why it writes {key}"
    for rule in rules:
        for key, value in RULES[rule].fields.items():
            if key not in left:
                yield f"rule {rule} writes {key}, which is missing"
            elif not _is_value(rule, key, left[key], value, rules):
                yield f"rule {rule} does not write {key} as {left[key]!r}"


def _is_value(rule: str, key: str, found: Any, value: Any, rules: list[str]) -> bool:
    if key == "queue" and rule in {"B2", "B8"}:
        return found is None or (isinstance(found, dict) and (rule == "B8" or "B8" in rules))
    if key == "status" and rule == "B7" and "B6" in rules:
        # Where B6 and B7 both write the status, completed stands.
        return bool(found == "completed")
    if value is not ...:
        return bool(found == value)
    if key == "assignedUsers":
        return isinstance(found, list) and len(found) == 1
    return bool(found) and found != {"id": None}


def _unfounded(each: LoggedSuppression, tables: set[str]) -> Iterator[str]:
    """What speaks against a suppression: a write of the field by the other table, or the revisions that it names."""
    changed_later = each.conversation_rev > each.known_rev
    match each.code:
        case "CONVERSATION_IS_NEWER":
            against = {"A"}
            # A done or deleted conversation is newer in its status whatever the revisions, every one in `paused`.
            if not changed_later and each.field not in {"status", "paused"}:
                yield f"{each.field} is {each.code}, but the work-item knew revision {each.known_rev} of it"
        case "WORK_ITEM_IS_NEWER":
            against = {"B"}
            # A7 decides over the status by the completion.
            if changed_later and each.field != "status":
                yield f"{each.field} is {each.code}, but the conversation changed it at {each.conversation_rev}"
        case "FIELD_WAITS":
            against = {"A", "B"}
        case _:
            assert_never(each.code)
    if tables & against:
        yield f"it writes {each.field}, which it suppresses as {each.code}"
