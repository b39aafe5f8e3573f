"""Row 17: the queue's policy is read by IAM's grammar, and every statement of others stays."""

import json
from typing import Any

import pytest

from worker.aws.policies.queue import denials_of_sending, policy_for_topics

QUEUE = "arn:aws:sqs:eu-west-1:1:routing-sync"
TOPICS = ["arn:aws:sns:eu-west-1:1:conversations", "arn:aws:sns:eu-west-1:1:work-items"]
OURS: dict[str, Any] = {
    "Sid": "routing-sync-topics",
    "Effect": "Allow",
    "Principal": {"Service": "sns.amazonaws.com"},
    "Action": "sqs:SendMessage",
    "Resource": QUEUE,
    "Condition": {"ArnEquals": {"aws:SourceArn": TOPICS}},
}


def _changed(statement: object) -> dict[str, Any] | None:
    return policy_for_topics(json.dumps({"Version": "2012-10-17", "Statement": statement}), QUEUE, TOPICS)


@pytest.mark.parametrize("found", [None, "", "{}"])
def test_a_queue_without_a_policy_gets_one(found: str | None) -> None:
    assert policy_for_topics(found, QUEUE, TOPICS) == {"Version": "2012-10-17", "Statement": [OURS]}


@pytest.mark.parametrize(
    "same",
    [
        {},
        {"Action": ["sqs:SendMessage"]},
        {"Action": "SQS:SendMessage"},
        {"Resource": [QUEUE]},
        {"Principal": {"Service": ["sns.amazonaws.com"]}},
        {"Condition": {"ArnEquals": {"aws:SourceArn": TOPICS[::-1]}}},
        {"Condition": {"ArnLike": {"AWS:SourceArn": TOPICS}}},
        {"Sid": "a template's"},
        {"Sid": "a template's", "Condition": {"ArnLike": {"aws:SourceArn": [*TOPICS, "arn:aws:sns:eu-west-1:1:more"]}}},
    ],
)
@pytest.mark.parametrize("alone", [True, False])
def test_a_statement_that_says_the_same_is_enough(same: dict[str, Any], alone: bool) -> None:
    statement = {**OURS, **same}
    assert _changed(statement if alone else [statement]) is None


@pytest.mark.parametrize(
    "other",
    [
        {"Action": "sqs:ReceiveMessage"},
        {"Action": ["sqs:SendMessage", "sqs:DeleteMessage"]},
        {"Principal": "*"},
        {"Effect": "Deny"},
        {"Resource": "arn:aws:sqs:eu-west-1:1:another"},
        {"Condition": {"ArnEquals": {"aws:SourceArn": TOPICS[0]}}},
        {"Condition": {"ArnEquals": {"aws:SourceArn": TOPICS}, "Bool": {"aws:SecureTransport": True}}},
        {"Condition": {"ArnEquals": {"aws:SourceArn": TOPICS, "aws:PrincipalArn": "a"}}},
        {"Condition": {"StringEquals": "not the grammar"}},
        {"Condition": None},
        {"Condition": "a text"},
        # IAM requires every condition; the first one was dropped for the second.
        {"Condition": {"ArnEquals": {"aws:SourceArn": "another"}, "ArnLike": {"aws:SourceArn": TOPICS}}},
        {"Condition": {"ArnLike": {"aws:SourceArn": TOPICS}, "ArnEquals": {"aws:SourceArn": "another"}}},
        {"Condition": {"ArnEquals": {"AWS:sourcearn": "another", "aws:SourceArn": TOPICS}}},
        {"Condition": {"ArnEquals": {"aws:SourceArn": TOPICS, "AWS:sourcearn": "another"}}},
        {"NotAction": "sqs:*"},
    ],
)
@pytest.mark.parametrize("alone", [True, False])
def test_a_statement_that_says_something_else_stays_beside_ours(other: dict[str, Any], alone: bool) -> None:
    statement = {**OURS, "Sid": "theirs", **other}
    assert _changed(statement if alone else [statement]) == {
        "Version": "2012-10-17",
        "Statement": [statement, OURS],
    }


@pytest.mark.parametrize(
    ("statement", "denies"),
    [
        ({}, True),
        ({"Action": "SQS:Send*"}, True),
        ({"Action": ["sqs:DeleteMessage"]}, False),
        ({"Action": None, "NotAction": "sqs:ReceiveMessage"}, True),
        ({"Action": None, "NotAction": "sqs:SendMessage"}, False),
        ({"Principal": {"AWS": "*"}}, True),
        ({"Principal": {"Service": "sns.amazonaws.com"}}, True),
        ({"Principal": {"AWS": "arn:aws:iam::1:role/other"}}, False),
        ({"Principal": None, "NotPrincipal": {"AWS": "arn:aws:iam::1:role/other"}}, True),
        ({"Condition": {"StringNotEquals": {"aws:SourceVpc": "vpc-1"}}}, True),
        ({"Condition": {"Bool": {"aws:SecureTransport": "false"}}}, False),
        ({"Condition": {"Bool": {"aws:SecureTransport": False}}}, False),
        ({"Effect": "Allow"}, False),
    ],
)
def test_a_statement_that_may_deny_the_topics_is_named(statement: dict[str, Any], denies: bool) -> None:
    deny = {"Sid": "theirs", "Effect": "Deny", "Principal": "*", "Action": "sqs:*", "Resource": QUEUE, **statement}
    given = {element: value for element, value in deny.items() if value is not None}
    assert denials_of_sending(json.dumps({"Statement": [OURS, given]})) == (["theirs"] if denies else [])
    del given["Sid"]
    assert denials_of_sending(json.dumps({"Statement": [OURS, given]})) == (["number 2"] if denies else [])
    assert denials_of_sending(None) == []


@pytest.mark.parametrize("alone", [True, False])
def test_our_own_statement_of_earlier_topics_is_replaced(alone: bool) -> None:
    earlier = {**OURS, "Condition": {"ArnEquals": {"aws:SourceArn": [*TOPICS, "arn:aws:sns:eu-west-1:1:gone"]}}}
    assert _changed(earlier if alone else [earlier]) == {"Version": "2012-10-17", "Statement": [OURS]}


def test_what_stands_beside_the_statements_stays() -> None:
    """A policy without `Version` has the one of 2008, in which `${` is a text."""
    found = json.dumps({"Id": "theirs", "Statement": []})
    assert policy_for_topics(found, QUEUE, TOPICS) == {"Id": "theirs", "Statement": [OURS]}


@pytest.mark.parametrize(
    "found", ["not json", "[]", '{"Statement": "all"}', '{"Statement": [["all"]]}', '{"Statement": null}']
)
def test_what_is_no_policy_is_refused(found: str) -> None:
    with pytest.raises(ValueError, match="it"):
        policy_for_topics(found, QUEUE, TOPICS)
