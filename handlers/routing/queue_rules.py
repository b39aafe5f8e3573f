"""Queue rules: the queue of an ivr work-item, by what its conversation says.

The rules of an org are tried in their order. The first whose criteria hold names the queue; if none holds, it is the
org's default queue. A rule reads `{_id, org, position, enabled, queue, match: "all" | "any", criteria: [{attribute,
operator, value}]}`. `attribute` is a path of names in the conversation's `attributes`: `custom.tierStr`.

| operator | holds if the attribute |
|---|---|
| `eq` | equals the value |
| `ne` | does not equal the value, or is missing |
| `in` | equals one of the values of a list |
| `nin` | equals none of the values of a list, or is missing |
| `gt`, `gte`, `lt`, `lte` | is a number, and the value too; or a text, and the value too: so are times in ISO 8601 |
| `contains` | is a list with the value, or a text with the value in it |
| `exists` | stands there (value true), or does not (value false) |

A missing attribute is false but for `ne`, `nin` and `exists` with false. Null is a value, no missing attribute. True is
not 1. Texts are compared as they stand, capital letters and all.
"""

import operator
from collections.abc import Callable, Collection, Mapping, Sequence
from enum import StrEnum
from math import isfinite
from typing import Annotated, Any, Final, Literal, Protocol, assert_never

from msgspec import Meta, Struct, field

from commands.context import RoutingQueue
from handlers.documents.json_values import same
from handlers.documents.stored_forms import FiniteNumber, Form, Id, UnreadableDocument, form_of, unreadable


class Operator(StrEnum):
    """The operator of a criterion."""

    EQ = "eq"
    NE = "ne"
    IN = "in"
    NIN = "nin"
    GT = "gt"
    GTE = "gte"
    LT = "lt"
    LTE = "lte"
    CONTAINS = "contains"
    EXISTS = "exists"


class Criterion(Struct, frozen=True, kw_only=True):
    """One condition on a conversation's attribute."""

    path: tuple[str, ...]
    operator: Operator
    value: Any

    def holds(self, attributes: Mapping[str, Any]) -> bool:
        """Whether it holds for a conversation with these attributes."""
        found = _at(attributes, self.path)
        if found is _MISSING:
            is_negative = self.operator in (Operator.NE, Operator.NIN)
            return is_negative or (self.operator is Operator.EXISTS and self.value is False)
        match self.operator:
            case Operator.EQ:
                return same(found, self.value)
            case Operator.NE:
                return not same(found, self.value)
            case Operator.IN:
                return _contains(self.value, found)
            case Operator.NIN:
                return not _contains(self.value, found)
            case Operator.GT | Operator.GTE | Operator.LT | Operator.LTE:
                return _is_ordered(found, self.value) and bool(_COMPARISONS[self.operator](found, self.value))
            case Operator.CONTAINS:
                return _contains(found, self.value)
            case Operator.EXISTS:
                return self.value is True
            case _:
                assert_never(self.operator)


_COMPARISONS: Final[Mapping[Operator, Callable[[Any, Any], Any]]] = {
    Operator.GT: operator.gt,
    Operator.GTE: operator.ge,
    Operator.LT: operator.lt,
    Operator.LTE: operator.le,
}


class QueueRule(Struct, frozen=True, kw_only=True):
    """An enabled rule. Without criteria, `all` always holds and `any` never does."""

    id: str
    position: float
    queue: str
    match: Literal["all", "any"]
    criteria: tuple[Criterion, ...]

    def holds(self, attributes: Mapping[str, Any]) -> bool:
        """Whether the rule's criteria hold for a conversation with these attributes."""
        held = (criterion.holds(attributes) for criterion in self.criteria)
        return all(held) if self.match == "all" else any(held)


class OrgQueueRules(Struct, frozen=True, kw_only=True):
    """The enabled rules of an org in their order, its queues by id, and the id of its default queue.

    `unreadable`: why a rule or the default queue cannot be used, each named.
    """

    rules: tuple[QueueRule, ...] = ()
    queues: Mapping[str, RoutingQueue] = field(default_factory=dict)
    default: str | None = None
    unreadable: tuple[str, ...] = ()


class QueueRules(Protocol):
    """The queue rules as they are stored, or were a short time ago."""

    async def of_orgs(self, orgs: Collection[str]) -> Mapping[str, OrgQueueRules]:
        """The rules of each of the orgs. Raises StoreAway."""
        ...


class RuleHit(Struct, frozen=True, kw_only=True):
    """The queue for a work-item. `rule` None: it is the org's default queue."""

    queue: str
    rule: str | None = None


def first_hit(rules: OrgQueueRules, attributes: Mapping[str, Any]) -> RuleHit | None:
    """The queue for a conversation with these attributes; None if no rule holds and the org has no default queue."""
    for rule in rules.rules:
        if rule.holds(attributes):
            return RuleHit(queue=rule.queue, rule=rule.id)
    return None if rules.default is None else RuleHit(queue=rules.default)


# Reading


def org_queue_rules(
    rules: Sequence[Mapping[str, Any]],
    queues: Sequence[Mapping[str, Any]],
    queue_of: Callable[[Mapping[str, Any]], RoutingQueue],
) -> OrgQueueRules:
    """The rules of an org from the documents of its rules and its queues. `queue_of` reads a queue.

    A rule or a queue that cannot be read is passed over and named, and so is a rule of such a queue. Of two default
    queues the one with the lower id counts, and both are named. A rule may name a queue that is not stored, as an
    update of a work-item may.
    """
    read_queues: dict[str, RoutingQueue] = {}
    defaults: list[str] = []
    faults: list[str] = []
    bad_queues: list[object] = []
    for document in queues:
        try:
            queue = queue_of(document)
            if form_of(_flat(document), _DefaultForm).default is True:
                defaults.append(queue.id)
            read_queues[queue.id] = queue
        except UnreadableDocument as fault:
            bad_queues.append(document.get("_id"))
            faults.append(str(fault))
    read_rules: list[QueueRule] = []
    for document in rules:
        try:
            rule = queue_rule_of(document)
        except UnreadableDocument as fault:
            faults.append(str(fault))
            continue
        if rule is not None and rule.queue in bad_queues:
            faults.append(f"{rule.id} in the store cannot be used: its queue {rule.queue} cannot be read")
        elif rule is not None:
            read_rules.append(rule)
    defaults.sort()
    if len(defaults) > 1:
        faults.append(f"{', '.join(defaults)} in the store are default queues of one org: {defaults[0]} is taken")
    return OrgQueueRules(
        rules=tuple(sorted(read_rules, key=lambda rule: (rule.position, rule.id))),
        queues=read_queues,
        default=defaults[0] if defaults else None,
        unreadable=tuple(faults),
    )


def queue_rule_of(document: Mapping[str, Any]) -> QueueRule | None:
    """The rule that a document holds; None for one that is not enabled, whose rest is not read.

    Raises UnreadableDocument.
    """
    if not form_of(document, _EnabledForm).enabled:
        return None
    form = form_of(document, _RuleForm)
    criteria = tuple(
        Criterion(path=tuple(each.attribute.split(".")), operator=each.operator, value=each.value)
        for each in form.criteria
    )
    for index, criterion in enumerate(criteria):
        _check(criterion, document, index)
    return QueueRule(id=form.id, position=form.position, queue=form.queue, match=form.match, criteria=criteria)


def _check(criterion: Criterion, document: Mapping[str, Any], index: int) -> None:
    """Raise UnreadableDocument for a value that does not go with its operator, and for a path with an empty name."""
    at = ("criteria", index)
    if not all(criterion.path):
        raise unreadable(document, (*at, "attribute"), "names joined by dots")
    value, expected = criterion.value, None
    match criterion.operator:
        case Operator.IN | Operator.NIN if not isinstance(value, list):
            expected = "a list"
        case Operator.EXISTS if not isinstance(value, bool):
            expected = "true or false"
        case Operator.GT | Operator.GTE | Operator.LT | Operator.LTE if not _is_ordered(value, value):
            expected = "a number or a text"
        case _ if not _is_json(value):
            # Nothing equals such a value, so `ne` and `nin` would always hold.
            expected = "JSON throughout"
    if expected is not None:
        raise unreadable(document, (*at, "value"), expected)


_NAME_MAX: Final = 1_024
_MISSING: Final = object()


class _DefaultForm(Form, kw_only=True):
    default: bool | None = None
    id: Id = field(name="_id")


class _EnabledForm(Form, kw_only=True):
    id: Id = field(name="_id")
    enabled: bool


class _CriterionForm(Form, kw_only=True):
    attribute: Annotated[str, Meta(min_length=1, max_length=_NAME_MAX)]
    operator: Operator
    value: Any


class _RuleForm(Form, kw_only=True):
    id: Id = field(name="_id")
    position: FiniteNumber
    queue: Id
    match: Literal["all", "any"]
    criteria: list[_CriterionForm]


def _flat(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """A queue's document with its attributes on top, where they do not stand there."""
    attributes = document.get("attributes")
    return {**attributes, **document} if isinstance(attributes, Mapping) else document


def _at(attributes: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    value: Any = attributes
    for name in path:
        if not isinstance(value, Mapping) or name not in value:
            return _MISSING
        value = value[name]
    return value


def _is_ordered(one: object, other: object) -> bool:
    """Whether both are numbers, or both are texts."""
    if isinstance(one, bool) or isinstance(other, bool):
        return False
    return (isinstance(one, str) and isinstance(other, str)) or (
        isinstance(one, int | float) and isinstance(other, int | float)
    )


def _is_json(value: object) -> bool:
    """Whether the value is one of JSON, at every depth. A pattern, an id of MongoDB's and NaN are none."""
    match value:
        case None | bool() | int() | str():
            return True
        case float():
            return isfinite(value)
        case list():
            return all(map(_is_json, value))
        case Mapping():
            return all(map(_is_json, value.values()))
        case _:
            return False


def _contains(found: object, value: object) -> bool:
    if isinstance(found, list):
        return any(same(each, value) for each in found)
    return isinstance(found, str) and isinstance(value, str) and value in found
