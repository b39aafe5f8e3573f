"""A subscription's filter policy is judged by the names that must come through."""

import json
from typing import Any

import pytest

from worker.aws.policies.subscription_filter import judged_filter
from worker.aws.provisioning import EVENT_PREFIXES

NAMES = ["kustomer.conversation.update", "kustomer.conversation.delete", "routing-sync.heartbeat"]
UPDATE, DELETE, HEARTBEAT = NAMES


def blocked(conditions: Any) -> list[str]:
    return list(judged_filter(json.dumps({"name": conditions}), "MessageBody", NAMES).blocked)


@pytest.mark.parametrize(
    "policy", [None, "", "{}", json.dumps({"name": [{"prefix": each} for each in EVENT_PREFIXES]})]
)
def test_no_filter_and_that_of_provision_let_all_through(policy: str | None) -> None:
    judged = judged_filter(policy, "MessageBody", NAMES)
    assert (judged.blocked, judged.others) == ((), ())


@pytest.mark.parametrize(
    ("conditions", "left_out"),
    [
        ([UPDATE, HEARTBEAT], [DELETE]),
        (UPDATE, [DELETE, HEARTBEAT]),
        ([{"prefix": "kustomer."}], [HEARTBEAT]),
        ([{"suffix": ".update"}, {"suffix": "heartbeat"}], [DELETE]),
        ([{"wildcard": "*.conversation.*"}], [HEARTBEAT]),
        ([{"wildcard": "kustomer.conversation.[u]pdate"}], NAMES),
        ([{"equals-ignore-case": UPDATE.upper()}], [DELETE, HEARTBEAT]),
        ([{"exists": True}], []),
        ([{"exists": False}], NAMES),
        ([{"anything-but": [DELETE]}], [DELETE]),
        ([{"anything-but": DELETE}], [DELETE]),
        ([{"anything-but": {"prefix": "kustomer."}}], [UPDATE, DELETE]),
        ([{"numeric": ["=", 1]}, None, 3], NAMES),
    ],
    ids=str,
)
def test_each_condition_lets_its_names_through(conditions: Any, left_out: list[str]) -> None:
    assert blocked(conditions) == left_out


def test_a_filter_by_attributes_blocks_events_that_have_none() -> None:
    for scope in (None, "MessageAttributes"):
        assert judged_filter('{"name": [{"exists": true}]}', scope, NAMES).blocked == tuple(NAMES)


def test_other_keys_are_named() -> None:
    judged = judged_filter('{"org": ["o"], "name": [{"prefix": ""}], "body": {"client": ["a"]}}', "MessageBody", NAMES)
    assert (judged.blocked, judged.others) == ((), ("org", "body"))


@pytest.mark.parametrize("policy", ["{", "[]", '"a"'])
def test_a_policy_that_is_none_is_said(policy: str) -> None:
    with pytest.raises(ValueError, match=r"it is not (JSON|an object)"):
        judged_filter(policy, "MessageBody", NAMES)
