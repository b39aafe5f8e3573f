"""What a queue's policy, a subscription and a key's policy mean for the delivery, however they are written."""

import json
from typing import Any

import pytest

from worker.aws.checks.delivery import policy_results, subscription_results
from worker.aws.policies.key import sns_may_use
from worker.aws.policies.queue import Allowed, sending_allowed
from worker.findings import Finding, FindingCode, Sound

QUEUE = "arn:aws:sqs:eu-west-1:1:routing-sync"
TOPIC = "arn:aws:sns:eu-west-1:1:conversations"
OURS: dict[str, Any] = {
    "Effect": "Allow",
    "Principal": {"Service": "sns.amazonaws.com"},
    "Action": "sqs:SendMessage",
    "Resource": QUEUE,
    "Condition": {"ArnEquals": {"aws:SourceArn": TOPIC}},
}


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


@pytest.mark.parametrize(
    ("change", "allowed"),
    [
        ({}, Allowed.YES),
        ({"Principal": "*"}, Allowed.YES),
        ({"Principal": {"AWS": "*"}, "Action": ["sqs:*"]}, Allowed.YES),
        ({"Action": "SQS:Send*"}, Allowed.YES),
        ({"Resource": "*"}, Allowed.YES),
        ({"Condition": {}}, Allowed.YES),
        ({"Condition": {"ArnLike": {"AWS:SourceArn": ["arn:aws:sns:*:1:*"]}}}, Allowed.YES),
        ({"Condition": {"StringEquals": {"aws:SourceAccount": "1"}}}, Allowed.YES),
        ({"Condition": {"Bool": {"aws:SecureTransport": "true"}, "ArnEquals": {"aws:SourceArn": TOPIC}}}, Allowed.YES),
        ({"Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}}, Allowed.PERHAPS),
        ({"NotAction": "sqs:DeleteQueue"}, Allowed.PERHAPS),
        ({"Effect": "Deny"}, Allowed.NO),
        ({"Principal": {"AWS": "arn:aws:iam::1:role/other"}}, Allowed.NO),
        ({"Action": "sqs:ReceiveMessage"}, Allowed.NO),
        ({"Resource": f"{QUEUE}-other"}, Allowed.NO),
        ({"Condition": {"ArnEquals": {"aws:SourceArn": f"{TOPIC}-other"}}}, Allowed.NO),
        ({"Condition": {"StringEquals": {"aws:SourceAccount": "2"}}}, Allowed.NO),
        (
            {"Condition": {"ArnEquals": {"aws:SourceArn": TOPIC}, "StringEquals": {"aws:SourceAccount": "2"}}},
            Allowed.NO,
        ),
    ],
    ids=str,
)
def test_a_statement_allows_by_iams_grammar(change: dict[str, Any], allowed: Allowed) -> None:
    assert sending_allowed(policy({**OURS, **change}), QUEUE, TOPIC) is allowed


def test_one_statement_that_allows_is_enough() -> None:
    assert sending_allowed(policy({**OURS, "Action": "sqs:GetQueueUrl"}, OURS), QUEUE, TOPIC) is Allowed.YES
    assert sending_allowed(None, QUEUE, TOPIC) is Allowed.NO


@pytest.mark.parametrize("text", ["{", "[]", '{"Statement": "all"}'])
def test_a_policy_that_is_none_is_a_finding(text: str) -> None:
    (result,) = policy_results(text, QUEUE, {"SNS_CONVERSATION_TOPIC_ARN": TOPIC})
    assert isinstance(result, Finding)
    assert result.code is FindingCode.POLICY_UNREADABLE


@pytest.mark.parametrize(
    ("attributes", "code"),
    [
        ({"PendingConfirmation": "true"}, FindingCode.SUBSCRIPTION_PENDING),
        ({"FilterPolicy": "{", "FilterPolicyScope": "MessageBody"}, FindingCode.FILTER_UNREADABLE),
        ({"FilterPolicy": '{"name": ["a"]}', "FilterPolicyScope": "MessageBody"}, FindingCode.FILTER_BLOCKS),
        ({"FilterPolicy": '{"org": ["a"]}', "FilterPolicyScope": "MessageBody"}, FindingCode.FILTER_NARROW),
        (
            {"FilterPolicy": '{"name": ["kustomer.conversation.update"]}', "FilterPolicyScope": "MessageBody"},
            FindingCode.FILTER_NARROW,
        ),
        (
            {
                "FilterPolicy": '{"name": [{"prefix": "kustomer.conversation."}]}',
                "FilterPolicyScope": "MessageBody",
            },
            None,
        ),
        ({}, None),
        ({"RawMessageDelivery": "true", "PendingConfirmation": "false"}, None),
    ],
    ids=str,
)
def test_a_subscription_is_judged(attributes: dict[str, str], code: FindingCode | None) -> None:
    (result,) = subscription_results("subscription", attributes, ["kustomer.conversation.update"])
    assert (result.code if isinstance(result, Finding) else None) is code
    assert isinstance(result, Sound) is (code is None)


def test_a_filter_by_whole_names_and_one_by_other_keys_are_two_findings_and_the_heartbeats_name_is_none() -> None:
    names = ["kustomer.conversation.update", "routing-sync.heartbeat"]
    narrow = json.dumps({"name": names, "org": ["o"]})
    results = subscription_results("s", {"FilterPolicy": narrow, "FilterPolicyScope": "MessageBody"}, names)
    assert [result.code for result in results if isinstance(result, Finding)] == [FindingCode.FILTER_NARROW] * 2
    wide = json.dumps({"name": [{"prefix": "kustomer.conversation."}, "routing-sync.heartbeat"]})
    (result,) = subscription_results("s", {"FilterPolicy": wide, "FilterPolicyScope": "MessageBody"}, names)
    assert isinstance(result, Sound)


@pytest.mark.parametrize(
    ("statement", "may"),
    [
        ({"Principal": {"Service": "sns.amazonaws.com"}, "Action": ["kms:GenerateDataKey*", "kms:Decrypt"]}, True),
        ({"Principal": {"Service": ["a", "sns.amazonaws.com"]}, "Action": "kms:*"}, True),
        ({"Principal": "*", "Action": "*"}, True),
        ({"Principal": {"AWS": "*"}, "Action": "kms:*"}, True),
        ({"Principal": {"Service": "sns.amazonaws.com"}, "Action": "kms:Decrypt"}, False),
        ({"Principal": {"AWS": "arn:aws:iam::1:root"}, "Action": "kms:*"}, False),
        ({"Effect": "Deny", "Principal": "*", "Action": "kms:*"}, False),
    ],
    ids=str,
)
def test_a_keys_policy_lets_sns_use_it_or_not(statement: dict[str, Any], may: bool) -> None:
    assert sns_may_use(policy({"Effect": "Allow", **statement})) is may
    assert not sns_may_use("{")
    assert not sns_may_use("[]")
