"""The differences between what `legacy` did and what `causal` would have done, out of one audit line. Pure.

| kind | the difference |
|---|---|
| `LOSS_PREVENTED` | `legacy` overwrote a newer value; `causal` suppresses the write as `…_IS_NEWER` |
| `WAITS` | `causal` holds the write back as `FIELD_WAITS`, until the event that decides has come |
| `LATE_NEWS` | `legacy` dropped the event at a gate, though its revision was news; `causal` writes |
| `OTHER_DIRECTION` | `causal` writes to the event's own side, where `legacy` only looks at the other |
| `WIDER_RULE` | a rule that only `causal` has, or that fires more often under it: A2, A3, A7, B8, B10, `resume` |
| `NARROWER_RULE` | a rule that fires less often under `causal`: A6, B7 |
| `FORWARD_FIRST` | table A looks at the work-item as table B leaves it |
| `AFTER_ROUTING` | the line's write came after a write of routing, the decision of `causal` before it |
| `NO_EFFECT` | the rules of `legacy` asked for an update in which the commands found nothing to change |
| `UNEXPLAINED` | nothing of docs/rules.md explains the difference, or the decision of `causal` contradicts itself |
"""

from collections.abc import Iterator
from enum import StrEnum
from typing import Any, Final, Literal

from msgspec import Struct

from commands.reason import ReasonAction, ReasonCode
from sync.conversation import Field
from worker.shadow.audit_lines import AuditLine, LoggedDecision, LoggedSuppression
from worker.shadow.contradictions import RULES, contradictions


class DifferenceKind(StrEnum):
    """The kind of a difference; this file's table. In the order in which the report prints them."""

    UNEXPLAINED = "UNEXPLAINED"
    LOSS_PREVENTED = "LOSS_PREVENTED"
    WAITS = "WAITS"
    LATE_NEWS = "LATE_NEWS"
    OTHER_DIRECTION = "OTHER_DIRECTION"
    WIDER_RULE = "WIDER_RULE"
    NARROWER_RULE = "NARROWER_RULE"
    FORWARD_FIRST = "FORWARD_FIRST"
    AFTER_ROUTING = "AFTER_ROUTING"
    NO_EFFECT = "NO_EFFECT"


class Difference(Struct, frozen=True, kw_only=True):
    """One difference of a line. `code`: the suppression of `causal`, or the gate at which `legacy` dropped the event.
    `detail`: of an unexplained one, what contradicts what."""

    kind: DifferenceKind
    field: Field | None
    direction: Literal["forward", "reverse"] | None
    legacy_rule: str | None
    causal_rule: str | None
    code: str | None
    detail: str | None = None


_WIDER: Final = frozenset(("A2", "A3", "A7", "B8", "B10"))
_NARROWER: Final = frozenset(("A6", "B7"))
_LATE: Final = frozenset((ReasonCode.STALE_REV, ReasonCode.IS_SYNC, ReasonCode.UNSUPPORTED_EVENT))
_ROUTING: Final = frozenset(
    (ReasonAction.CREATE_WORK_ITEM, ReasonAction.UNASSIGN_CONVERSATION, ReasonAction.QUEUE_WORK_ITEM)
)


def differences_of(line: AuditLine) -> list[Difference]:
    """The differences of a line whose `shadow` is not null; at least one."""
    causal = line.shadow
    assert causal is not None, "a line without `shadow` has no differences"
    contradicting = [_unexplained(said) for said in contradictions(line, causal)]
    if contradicting:
        return contradicting
    compared = _Compared(line, causal)
    found = [*compared.withheld(), *compared.added(), *compared.changed()]
    return found or [compared.without_effect()]


def _unexplained(detail: str, field: Field | None = None, **more: Any) -> Difference:
    return Difference(
        **{
            "kind": DifferenceKind.UNEXPLAINED, "field": field, "direction": None, "legacy_rule": None,
            "causal_rule": None, "code": None, "detail": detail, **more,
        }
    )  # fmt: skip


class _Compared:
    """The rules of both decisions of one line."""

    def __init__(self, line: AuditLine, causal: LoggedDecision) -> None:
        self._line, self._causal = line, causal
        self._legacy_rules = [reason.rule for reason in line.reasons if reason.rule is not None]
        self._causal_rules = [reason.rule for reason in causal.reasons if reason.rule is not None]
        self._suppressed: dict[Field, LoggedSuppression] = {each.field: each for each in causal.suppressed}
        self._gate = next((r.code for r in line.reasons if r.action == ReasonAction.SKIP_SYNC), None)
        self._routed = any(reason.action in _ROUTING for reason in line.reasons)

    def withheld(self) -> Iterator[Difference]:
        """The rules that wrote under `legacy` alone."""
        for rule in self._legacy_rules:
            if rule not in self._causal_rules:
                suppression = self._suppressed.get(RULES[rule].field)
                kind = self._why_withheld(rule, suppression)
                code = None if suppression is None else suppression.code
                if kind is None:
                    detail = f"legacy wrote by {rule}; causal neither writes the field nor says why"
                    yield _unexplained(detail, RULES[rule].field, legacy_rule=rule, direction=_way(rule), code=code)
                else:
                    yield self._difference(kind, rule, legacy=True, code=code)

    def _why_withheld(self, rule: str, suppression: LoggedSuppression | None) -> DifferenceKind | None:
        reverse = rule.startswith("A")
        overwrites = "CONVERSATION_IS_NEWER" if reverse else "WORK_ITEM_IS_NEWER"
        if suppression is not None and suppression.code == overwrites:
            return DifferenceKind.LOSS_PREVENTED
        if suppression is not None and suppression.code == "FIELD_WAITS":
            return DifferenceKind.WAITS
        if self._routed and reverse:
            return DifferenceKind.AFTER_ROUTING
        if rule in _NARROWER:
            return DifferenceKind.NARROWER_RULE
        if reverse and self._causal.updated_work_item is not None:
            return DifferenceKind.FORWARD_FIRST
        return DifferenceKind.WIDER_RULE if rule == "B6" and "A7" in self._causal_rules else None

    def added(self) -> Iterator[Difference]:
        """The rules that write under `causal` alone, and the order to resume that comes with B2 and B3."""
        for rule in self._causal_rules:
            if rule not in self._legacy_rules:
                kind = self._why_added(rule)
                if kind is None:
                    detail = f"causal writes by {rule}, for which legacy has the same condition and did not write"
                    yield _unexplained(detail, RULES[rule].field, causal_rule=rule, direction=_way(rule))
                else:
                    yield self._difference(kind, rule, legacy=False, code=self._gate if self._gate in _LATE else None)
            elif rule in {"B2", "B3"} and (self._causal.updated_work_item or {}).get("resume") is True:
                yield Difference(
                    kind=DifferenceKind.WIDER_RULE,
                    field="ended",
                    direction="forward",
                    legacy_rule=rule,
                    causal_rule=rule,
                    code=None,
                )

    def _why_added(self, rule: str) -> DifferenceKind | None:
        reverse = rule.startswith("A")
        if self._gate == ReasonCode.NO_CONVERSATION:
            return None
        if self._gate in _LATE:
            return DifferenceKind.LATE_NEWS
        if reverse is (self._line.trigger == "conversation"):
            return DifferenceKind.OTHER_DIRECTION
        if rule in _WIDER:
            return DifferenceKind.WIDER_RULE
        if reverse and self._causal.updated_work_item is not None:
            return DifferenceKind.FORWARD_FIRST
        # Table B compares the conversation as A7 and A4 leave it.
        return DifferenceKind.WIDER_RULE if not reverse and {"A4", "A7"} & set(self._causal_rules) else None

    def changed(self) -> Iterator[Difference]:
        """The rules of both that write different values."""
        for rule in self._causal_rules:
            if rule not in self._legacy_rules:
                continue
            reverse = rule.startswith("A")
            mine, theirs = (
                (self._line.updated_conversation, self._causal.updated_conversation)
                if reverse
                else (self._line.updated_work_item, self._causal.updated_work_item)
            )
            # B2 also clears the queue; where B8 fires too, B8's value stands.
            keys = [key for key in RULES[rule].fields if not (rule == "B2" and key == "queue")]
            if any((mine or {}).get(key) != (theirs or {}).get(key) for key in keys):
                if reverse and (self._routed or self._causal.updated_work_item is not None):
                    kind = DifferenceKind.AFTER_ROUTING if self._routed else DifferenceKind.FORWARD_FIRST
                    yield self._difference(kind, rule, legacy=True, code=None)
                elif not (rule in {"B7", "B6"} and (theirs or {}).get("status") == "completed"):
                    detail = f"{rule} writes another value under causal than under legacy"
                    yield _unexplained(detail, RULES[rule].field, legacy_rule=rule, causal_rule=rule)

    def without_effect(self) -> Difference:
        """The difference of a line whose rules agree."""
        if self._line.outcome == "skipped" and self._causal.outcome == "skipped" and self._gate == ReasonCode.IN_SYNC:
            return Difference(
                kind=DifferenceKind.NO_EFFECT,
                field=None,
                direction=None,
                legacy_rule=None,
                causal_rule=None,
                code=self._gate,
            )
        return _unexplained("the line says that causal differs, but both decisions are the same")

    def _difference(self, kind: DifferenceKind, rule: str, *, legacy: bool, code: str | None) -> Difference:
        field = RULES[rule].field
        others = self._causal_rules if legacy else self._legacy_rules
        other = next((each for each in others if RULES[each].field == field), None)
        return Difference(
            kind=kind,
            field=field,
            direction=_way(rule),
            legacy_rule=rule if legacy else other,
            causal_rule=other if legacy else rule,
            code=code,
        )


def _way(rule: str) -> Literal["forward", "reverse"]:
    return "reverse" if rule.startswith("A") else "forward"
