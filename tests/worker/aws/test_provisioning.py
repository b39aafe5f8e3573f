"""Provisioning is idempotent, and corrects what was changed by hand."""

import json
from typing import Any

import pytest

from tests.worker.aws.scripted_service import scripted
from tests.worker.moto_clients import Aws
from worker.aws.clients import sqs_client
from worker.aws.provisioning import ProvisioningSpec, provision
from worker.errors import Misconfigured
from worker.ports import AwsEndpoint


async def _attributes(aws: Aws, url: str) -> dict[str, Any]:
    answer: Any = await aws.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
    return dict(answer["Attributes"])


@pytest.mark.parametrize("fifo", [False, True])
async def test_a_second_run_changes_nothing(aws: Aws, fifo: bool) -> None:
    blueprint = ProvisioningSpec(prefix=f"twice-{fifo}", fifo=fifo)
    first = await provision(aws.sns, aws.sqs, blueprint)
    assert len(first.changes) == 7
    second = await provision(aws.sns, aws.sqs, blueprint)
    assert second.changes == ()
    assert second.variables() == first.variables()
    assert all(value.endswith(".fifo") == fifo for value in first.variables().values())
    subscribed = (await aws.sns.list_subscriptions_by_topic(TopicArn=first.work_item_topic_arn))["Subscriptions"]
    assert len(subscribed) == 1


async def test_differing_attributes_are_corrected(aws: Aws) -> None:
    made = await provision(aws.sns, aws.sqs, ProvisioningSpec(prefix="mend"))
    await aws.sqs.set_queue_attributes(
        QueueUrl=made.queue_url, Attributes={"VisibilityTimeout": "5", "ReceiveMessageWaitTimeSeconds": "0"}
    )
    again = await provision(aws.sns, aws.sqs, ProvisioningSpec(prefix="mend", raw=True, receive_count_max=3))
    attributes = await _attributes(aws, made.queue_url)
    assert attributes["VisibilityTimeout"] == "30"
    assert json.loads(attributes["RedrivePolicy"])["maxReceiveCount"] in (3, "3")
    assert "queue mend-routing-sync: ReceiveMessageWaitTimeSeconds, RedrivePolicy, VisibilityTimeout mended" in (
        again.changes
    )
    (subscription,) = (await aws.sns.list_subscriptions_by_topic(TopicArn=made.conversation_topic_arn))["Subscriptions"]
    found = await aws.sns.get_subscription_attributes(SubscriptionArn=subscription["SubscriptionArn"])
    assert found["Attributes"]["RawMessageDelivery"] == "true"


async def test_the_topics_may_send_and_other_statements_of_the_policy_stay(aws: Aws) -> None:
    made = await provision(aws.sns, aws.sqs, ProvisioningSpec(prefix="policy"))
    ours = json.loads((await _attributes(aws, made.queue_url))["Policy"])["Statement"]
    assert ours[0]["Condition"]["ArnEquals"]["aws:SourceArn"] == [
        made.conversation_topic_arn,
        made.work_item_topic_arn,
    ]
    other = {"Sid": "other", "Effect": "Allow", "Principal": "*", "Action": "sqs:ReceiveMessage", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [other]})
    await aws.sqs.set_queue_attributes(QueueUrl=made.queue_url, Attributes={"Policy": policy})
    await provision(aws.sns, aws.sqs, ProvisioningSpec(prefix="policy"))
    found = json.loads((await _attributes(aws, made.queue_url))["Policy"])["Statement"]
    assert [statement["Sid"] for statement in found] == ["other", "routing-sync-topics"]


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        (["{}"], "SQS GetQueueUrl: the response has no QueueUrl"),
        (['{"QueueUrl": "http://127.0.0.1:1/1/dead"}', "{}"], "SQS GetQueueAttributes: the response has no Attributes"),
        (
            ['{"QueueUrl": "http://127.0.0.1:1/1/dead"}', '{"Attributes": {"MessageRetentionPeriod": "1209600"}}'],
            "SQS GetQueueAttributes: the response has no QueueArn",
        ),
    ],
)
async def test_an_answer_without_its_content_names_the_call(aws: Aws, answers: list[str], says: str) -> None:
    """Another service than SQS answers at the address."""
    async with (
        scripted("sqs", [(200, answer.encode(), {}) for answer in answers]) as (endpoint, script),
        sqs_client(AwsEndpoint(region="us-east-1", url=endpoint.url), read_timeout_s=5, connections_max=1) as sqs,
    ):
        with pytest.raises(Misconfigured, match=says):
            await provision(aws.sns, sqs, ProvisioningSpec(prefix="nobody"))
        assert script.answers == []
