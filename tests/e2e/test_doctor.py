"""The doctor on LocalStack and a real MongoDB: nothing on what `provision` made, and what is removed from it."""

import json
import os
import subprocess
from typing import Any

from tests.e2e.stage import Stage
from tests.e2e.worker_process import COMMAND, wait_until


def doctor(stage: Stage, *arguments: str) -> tuple[int, list[dict[str, Any]]]:
    """Exit status and findings."""
    environment = {**os.environ, **stage.variables}
    done = subprocess.run(
        [COMMAND, "doctor", "--json", *arguments], env=environment, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return done.returncode, [line for line in lines if line.get("code")]


def test_what_provision_made_has_no_finding_and_what_is_removed_is_named(stage: Stage) -> None:
    # The suite's own timeout is shorter than what it is warned of.
    stage.sqs.set_queue_attributes(QueueUrl=stage.variables["SQS_QUEUE_URL"], Attributes={"VisibilityTimeout": "30"})
    assert doctor(stage, "--strict") == (0, [])
    assert doctor(stage, "--strict", "--for", "serve") == (0, [])
    topic = stage.variables["SNS_WORK_ITEM_TOPIC_ARN"]
    queue = stage.sqs.get_queue_attributes(QueueUrl=stage.variables["SQS_QUEUE_URL"], AttributeNames=["QueueArn"])
    for each in stage.sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]:
        if each["Endpoint"] == queue["Attributes"]["QueueArn"]:
            stage.sns.unsubscribe(SubscriptionArn=each["SubscriptionArn"])
    stage.sqs.set_queue_attributes(QueueUrl=stage.variables["SQS_QUEUE_URL"], Attributes={"Policy": ""})
    status, findings = doctor(stage)
    assert (status, [finding["code"] for finding in findings]) == (
        1,
        ["TOPIC_NOT_ALLOWED", "TOPIC_NOT_ALLOWED", "SUBSCRIPTION_ABSENT"],
    )
    assert all("routing-sync provision" in finding["remedy"] for finding in findings)


def test_the_running_worker_warns_and_says_so_in_its_readiness(stage: Stage) -> None:
    stage.sqs.set_queue_attributes(QueueUrl=stage.variables["SQS_QUEUE_URL"], Attributes={"Policy": ""})
    worker = stage.worker()
    worker.wait_ready()
    wait_until(lambda: worker.says("published events may not reach the queue"), within_s=30, what=lambda: "no warning")
    status, body = worker.http("/readyz")
    assert (status, body["ready"]) == (200, True)
    assert [line.partition(" for ")[0] for line in body["delivery"]["findings"]] == ["queue policy", "queue policy"]
    assert worker.terminate()[0] == 0
