"""Provisioning is idempotent, and corrects what was changed by hand."""

import json
from typing import Any

import pytest

from tests.worker.aws.stand_ins.scripted_service import scripted
from tests.worker.stand_ins.moto_clients import Aws
from worker.aws.clients import sqs_client
from worker.aws.provisioning import ProvisioningSpec, provision
from worker.errors import Misconfigured
from worker.ports.aws_calls import AwsEndpoint

pytestmark = pytest.mark.thorough


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
    assert again.changes[0] == "queue mend-routing-sync: ReceiveMessageWaitTimeSeconds 0 → 20"
    assert again.changes[1].startswith('queue mend-routing-sync: RedrivePolicy {"deadLetterTargetArn": ')
    assert again.changes[2] == "queue mend-routing-sync: VisibilityTimeout 5 → 30"
    # Moto forgets a queue's policy when another attribute is set.
    assert again.changes[3].startswith("queue mend-routing-sync: Policy: ")
    assert again.changes[4:] == (
        "subscription of mend-routing-sync to mend-conversation-events: RawMessageDelivery false → true",
        "subscription of mend-routing-sync to mend-work-item-events: RawMessageDelivery false → true",
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


OTHERS = {"Effect": "Allow", "Principal": "*", "Action": "sqs:ReceiveMessage", "Resource": "*"}


async def _set_policy(aws: Aws, url: str, policy: dict[str, Any]) -> None:
    await aws.sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(policy)})


async def test_row_17_a_policy_whose_statement_is_one_object_is_kept(aws: Aws) -> None:
    spec = ProvisioningSpec(prefix="single")
    made = await provision(aws.sns, aws.sqs, spec)
    await _set_policy(aws, made.queue_url, {"Version": "2008-10-17", "Id": "theirs", "Statement": OTHERS})
    again = await provision(aws.sns, aws.sqs, spec)
    (change,) = again.changes
    assert change == (
        "queue single-routing-sync: Policy: single-conversation-events and single-work-item-events may send, "
        "other statements kept: 1"
    )
    policy = json.loads((await _attributes(aws, made.queue_url))["Policy"])
    assert (policy["Version"], policy["Id"]) == ("2008-10-17", "theirs")
    assert policy["Statement"][0] == OTHERS
    assert policy["Statement"][1]["Sid"] == "routing-sync-topics"
    assert (await provision(aws.sns, aws.sqs, spec)).changes == ()


async def test_row_17_a_dry_run_says_what_would_change_and_changes_nothing(aws: Aws) -> None:
    spec = ProvisioningSpec(prefix="dry", raw=True)
    planned = await provision(aws.sns, aws.sqs, spec, dry_run=True)
    assert planned.variables() == {}
    assert not [one for one in (await aws.sns.list_topics())["Topics"] if ":dry-" in one["TopicArn"]]
    assert "QueueUrls" not in await aws.sqs.list_queues(QueueNamePrefix="dry-")
    made = await provision(aws.sns, aws.sqs, spec)
    assert made.changes == planned.changes
    assert len(made.changes) == 7
    await _set_policy(aws, made.queue_url, {"Statement": OTHERS})
    before = await _attributes(aws, made.queue_url)
    planned = await provision(aws.sns, aws.sqs, spec, dry_run=True)
    assert planned.variables() == made.variables()
    assert await _attributes(aws, made.queue_url) == before
    assert (await provision(aws.sns, aws.sqs, spec)).changes == planned.changes
    assert len(planned.changes) == 1
    assert (await provision(aws.sns, aws.sqs, spec, dry_run=True)).changes == ()


async def test_row_17_the_filter_lets_the_handled_events_and_the_heartbeat_through(aws: Aws) -> None:
    spec = ProvisioningSpec(prefix="filter")
    made = await provision(aws.sns, aws.sqs, spec)
    filtered = ProvisioningSpec(prefix="filter", filtered=True)
    again = await provision(aws.sns, aws.sqs, filtered)
    assert again.changes[0] == (
        "subscription of filter-routing-sync to filter-conversation-events: FilterPolicyScope not set → MessageBody"
    )
    assert len(again.changes) == 4
    assert (await provision(aws.sns, aws.sqs, filtered)).changes == ()
    kept = await provision(aws.sns, aws.sqs, spec)
    assert (kept.changes, kept.notes) == ((), ())
    names = ["kustomer.conversation.update", "kustomer.customer.update", "kustomer.work-item.create", "routing-sync.x"]
    for name in names:
        await aws.sns.publish(TopicArn=made.conversation_topic_arn, Message=json.dumps({"name": name}))
    arrived = [json.loads(json.loads(one["Body"])["Message"])["name"] for one in await aws.taken(made.queue_url)]
    assert sorted(arrived) == sorted(set(names) - {"kustomer.customer.update"})


async def test_row_17_a_filter_of_others_stays_and_is_noted(aws: Aws) -> None:
    spec = ProvisioningSpec(prefix="theirs")
    made = await provision(aws.sns, aws.sqs, spec)
    (one,) = (await aws.sns.list_subscriptions_by_topic(TopicArn=made.conversation_topic_arn))["Subscriptions"]
    theirs = '{"name": ["kustomer.conversation.update"]}'
    for name, value in {"FilterPolicyScope": "MessageBody", "FilterPolicy": theirs}.items():
        await aws.sns.set_subscription_attributes(
            SubscriptionArn=one["SubscriptionArn"], AttributeName=name, AttributeValue=value
        )
    again = await provision(aws.sns, aws.sqs, spec)
    assert again.changes == ()
    (note,) = again.notes
    assert note.startswith(
        f"subscription to theirs-conversation-events: its filter policy {theirs} stays: it must let "
    )


async def test_row_17_a_policy_that_is_none_names_the_queue(aws: Aws) -> None:
    spec = ProvisioningSpec(prefix="broken")
    made = await provision(aws.sns, aws.sqs, spec)
    await _set_policy(aws, made.queue_url, {"Statement": ["allow"]})
    with pytest.raises(
        Misconfigured, match="queue broken-routing-sync: its access policy cannot be read, its Statement"
    ):
        await provision(aws.sns, aws.sqs, spec)


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
