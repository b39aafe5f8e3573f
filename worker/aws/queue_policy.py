"""The access policy of the queue: the statement that lets the topics send, among those of others.

By IAM's grammar ("Grammar of the IAM JSON policy language") `Statement` is one object or a list, and `Action`,
`Resource`, a principal and a condition's value are each a text or a list; a principal may be `*` alone.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

STATEMENT_ID: Final = "routing-sync-topics"
_VERSION: Final = "2012-10-17"
_SOURCE: Final = "aws:sourcearn"


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
        and (found["Condition"] == {"ArnEquals": {_SOURCE: sources}})
    )


def _sources(statement: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(statement.get("Condition", {}).get("ArnEquals", {}).get(_SOURCE, ()))


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
            case "Condition" if isinstance(value, dict):
                normal[element] = {
                    # AWS: "ArnEquals and ArnLike behave identically".
                    "ArnEquals" if operator == "ArnLike" else operator: _condition(keys)
                    for operator, keys in value.items()
                }
            case _:
                normal[element] = _texts(value)
    return normal


def _condition(keys: object) -> dict[str, frozenset[str]]:
    return {key.lower(): _texts(value) for key, value in keys.items()} if isinstance(keys, dict) else {}


def _texts(value: object) -> frozenset[str]:
    """A text or a list of them; condition values may be numbers and truth values too."""
    return frozenset(str(each) for each in (value if isinstance(value, list) else [value]))
