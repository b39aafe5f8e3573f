"""The access policy of the queue: the statement that lets the topics send, among those of others.

By IAM's grammar ("Grammar of the IAM JSON policy language") `Statement` is one object or a list, and `Action`,
`Resource`, a principal and a condition's value are each a text or a list; a principal may be `*` alone.
"""

from collections.abc import Mapping, Sequence
from enum import IntEnum
from fnmatch import fnmatchcase
from typing import Any, Final

import orjson

STATEMENT_ID: Final = "routing-sync-topics"
_VERSION: Final = "2012-10-17"
_SOURCE: Final = "aws:sourcearn"
_SEND: Final = "sqs:sendmessage"
_EVERY_SENDER: Final = frozenset({"*", "sns.amazonaws.com"})
_WITHOUT_TLS: Final = {("Bool", "aws:securetransport", frozenset({"false"}))}


def policy_for_topics(found: str | None, queue_arn: str, topics: Sequence[str]) -> dict[str, Any] | None:
    """The policy in which the topics may send to the queue; None if `found`, the queue's policy, says so already.

    Every other statement stays as it is. Raises ValueError if `found` is no policy.
    """
    policy = _policy(found)
    statements = _statements(policy)
    wanted = {
        "Sid": STATEMENT_ID,
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue_arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": list(topics)}},
    }
    if any(_grants(statement, wanted) for statement in statements):
        return None
    others = [statement for statement in statements if statement.get("Sid") != STATEMENT_ID]
    return {**(policy or {"Version": _VERSION}), "Statement": [*others, wanted]}


def denials_of_sending(found: str | None) -> list[str]:
    """The names of the policy's statements that may deny SNS to send, whatever another statement allows.

    A statement that only denies what comes without TLS is left out, since SNS has it. Raises ValueError as above.
    """
    statements = enumerate(_statements(_policy(found)), start=1)
    return [str(each.get("Sid") or f"number {number}") for number, each in statements if _may_deny(each)]


class Allowed(IntEnum):
    """Whether a policy lets a topic send. `PERHAPS`: under conditions that this file does not judge."""

    NO = 0
    PERHAPS = 1
    YES = 2


def sending_allowed(found: str | None, queue_arn: str, topic_arn: str) -> Allowed:
    """Whether the statements that allow let the topic send to the queue, however they are written.

    Statements that deny are `denials_of_sending`. Raises ValueError if `found` is no policy.
    """
    return max((_allows(each, queue_arn, topic_arn) for each in _statements(_policy(found))), default=Allowed.NO)


def _allows(statement: Mapping[str, Any], queue_arn: str, topic_arn: str) -> Allowed:
    normal = _normal_form(statement)
    if normal.get("Effect") != {"Allow"}:
        return Allowed.NO
    names = frozenset[str]().union(*normal.get("Principal", {}).values())
    if any(element in normal for element in ("NotPrincipal", "NotAction", "NotResource")):
        return Allowed.PERHAPS
    applies = (
        not _EVERY_SENDER.isdisjoint(names)
        and any(fnmatchcase(_SEND, action) for action in normal.get("Action", ()))
        # A queue's policy speaks of its own queue; where the element is missing, of nothing.
        and any(fnmatchcase(queue_arn, resource) for resource in normal.get("Resource", ()))
    )
    if not applies:
        return Allowed.NO
    return min(
        (_condition_holds(*condition, topic_arn=topic_arn) for condition in normal.get("Condition", ())),
        default=Allowed.YES,
    )


def _condition_holds(operator: str, key: str, values: frozenset[str], *, topic_arn: str) -> Allowed:
    """Whether one condition holds for what SNS sends for the topic."""
    match operator.removesuffix("IfExists"), key:
        case (("ArnEquals" | "StringLike"), "aws:sourcearn"):
            holds = any(fnmatchcase(topic_arn, value) for value in values)
        case "StringEquals", "aws:sourcearn":
            holds = topic_arn in values
        case (("StringEquals" | "StringLike"), "aws:sourceaccount"):
            holds = any(fnmatchcase(topic_arn.split(":")[4], value) for value in values)
        case "Bool", "aws:securetransport":
            holds = "true" in values
        case _:
            return Allowed.PERHAPS
    return Allowed.YES if holds else Allowed.NO


def _may_deny(statement: Mapping[str, Any]) -> bool:
    normal = _normal_form(statement)
    if normal.get("Effect") != {"Deny"} or normal.get("Condition") == _WITHOUT_TLS:
        return False
    names = normal.get("Principal", {"*": frozenset("*")}).values()
    concerns_sns = any(not _EVERY_SENDER.isdisjoint(each) for each in names)
    # A statement with `NotAction` has no `Action`; it denies all other actions.
    excepted = any(fnmatchcase(_SEND, action.lower()) for action in normal.get("NotAction", ()))
    actions = normal.get("Action", frozenset("*"))
    return concerns_sns and not excepted and any(fnmatchcase(_SEND, action) for action in actions)


def _policy(found: str | None) -> dict[str, Any]:
    if not found:
        return {}
    try:
        policy = orjson.loads(found)
    except orjson.JSONDecodeError as error:
        raise ValueError("it is not JSON") from error
    if not isinstance(policy, dict):
        raise ValueError("it is not an object")
    return policy


def _statements(policy: Mapping[str, Any]) -> list[dict[str, Any]]:
    statements = policy.get("Statement", [])
    statements = statements if isinstance(statements, list) else [statements]
    if not all(isinstance(statement, dict) for statement in statements):
        raise ValueError("its Statement is neither an object nor a list of objects")
    return list(statements)


def _grants(statement: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether the statement is the wanted one. With another `Sid` it may let more topics send."""
    found, ours = _normal_form(statement), _normal_form(wanted)
    if statement.get("Sid") == STATEMENT_ID:
        return found == ours
    sources = _sources(found)
    return (
        sources >= _sources(ours)
        and {**found, "Condition": None} == {**ours, "Condition": None}
        and found["Condition"] == {("ArnEquals", _SOURCE, sources)}
    )


def _sources(statement: Mapping[str, Any]) -> frozenset[str]:
    """The sources of the first condition on them; a statement with a second one is never the wanted one."""
    conditions = statement.get("Condition", ())
    return next(
        (values for operator, key, values in conditions if (operator, key) == ("ArnEquals", _SOURCE)), frozenset()
    )


def _normal_form(statement: Mapping[str, Any]) -> dict[str, Any]:
    """The statement without its `Sid` and the freedoms of the grammar."""
    normal: dict[str, Any] = {}
    for element, value in statement.items():
        match element:
            case "Sid":
                pass
            case "Action":
                normal[element] = frozenset(action.lower() for action in _texts(value))
            case "Principal" if isinstance(value, dict):
                normal[element] = {kind: _texts(names) for kind, names in value.items()}
            case "Principal":
                normal[element] = {"AWS": _texts(value)}
            case "Condition":
                normal[element] = _conditions(value)
            case _:
                normal[element] = _texts(value)
    return normal


def _conditions(value: object) -> frozenset[tuple[str, str, frozenset[str]]]:
    """Operator, key and values of each condition. IAM requires all of them, so two that differ in spelling stay two."""
    conditions: set[tuple[str, str, frozenset[str]]] = set()
    for operator, keys in value.items() if isinstance(value, dict) else [("", value)]:
        # AWS: "ArnEquals and ArnLike behave identically".
        name = "ArnEquals" if operator == "ArnLike" else operator
        for key, values in keys.items() if isinstance(keys, dict) else [("", keys)]:
            conditions.add((name, key.lower(), _texts(values)))
    return frozenset(conditions)


def _texts(value: object) -> frozenset[str]:
    """A text or a list of them; condition values may be numbers and truth values too."""
    values = value if isinstance(value, list) else [value]
    return frozenset(str(each).lower() if isinstance(each, bool) else str(each) for each in values)
