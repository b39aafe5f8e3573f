"""The Terraform module: evaluated as far as that goes without AWS, and compared with what the code makes and calls.

tfparse resolves variables, locals and references; the ARN of a resource is an id that it makes up. No package has the
schemas of the AWS provider, so a misspelt argument of a resource is found by `terraform validate` alone.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from server_process import ROOT
from tests.docs.test_links import anchors
from worker.aws.policies.queue import denials_of_sending, policy_for_topics
from worker.aws.provisioning import EVENT_PREFIXES, RETENTION_S, ProvisioningSpec
from worker.settings.settings import Settings

load_from_path = pytest.importorskip(
    "tfparse", reason="tfparse is packaged for Linux on x86-64 alone", exc_type=ImportError
).load_from_path

FOLDER: Final = ROOT / "deploy" / "terraform"
POLICIES: Final = {path.stem for path in (ROOT / "deploy").glob("iam-*.json")}
SPEC: Final = ProvisioningSpec()


@pytest.fixture(scope="module")
def parsed() -> dict[str, Any]:
    found: dict[str, Any] = load_from_path(str(FOLDER))
    return found


def by_name(parsed: dict[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    """The resources of a kind by their address: `aws_sqs_queue.events`, `aws_sns_topic.events["conversation"]`."""
    return {each["__tfmeta"]["path"]: each for each in parsed[kind]}


def texts() -> Iterator[tuple[Path, str]]:
    for path in sorted(FOLDER.glob("*.tf")):
        yield path, re.sub(r"^\s*#.*$", "", path.read_text(), flags=re.MULTILINE)


def test_every_reference_has_its_declaration() -> None:
    text = "\n".join(each for _, each in texts())
    variables = set(re.findall(r'^variable "(\w+)"', text, re.MULTILINE))
    assert set(re.findall(r"\bvar\.(\w+)", text)) == variables
    assert set(re.findall(r"\blocal\.(\w+)", text)) <= set(re.findall(r"^  (\w+) *= ", text, re.MULTILINE))
    declared = {f"{kind}.{name}" for kind, name in re.findall(r'^resource "(\w+)" "(\w+)"', text, re.MULTILINE)}
    declared |= {f"data.{kind}.{name}" for kind, name in re.findall(r'^data "(\w+)" "(\w+)"', text, re.MULTILINE)}
    used = set(re.findall(r"(?<![\w.])((?:data\.)?aws_\w+\.\w+)", text))
    assert used - declared == set()


def test_the_queue_has_the_attributes_that_provision_gives_it(parsed: dict[str, Any]) -> None:
    queues = by_name(parsed, "aws_sqs_queue")
    queue, dead = queues["aws_sqs_queue.events"], queues["aws_sqs_queue.dead_letters"]
    assert (queue["name"], dead["name"]) == (SPEC.queue, SPEC.dead_letter_queue)
    assert queue["message_retention_seconds"] == dead["message_retention_seconds"] == RETENTION_S
    assert queue["visibility_timeout_seconds"] == SPEC.visibility_timeout_s
    assert queue["receive_wait_time_seconds"] == 20
    redrive = json.loads(queue["redrive_policy"])
    assert redrive["maxReceiveCount"] == SPEC.receive_count_max
    assert redrive["deadLetterTargetArn"] == dead["id"]
    topics = {each["name"] for each in parsed["aws_sns_topic"]}
    assert topics == {SPEC.conversation_topic, SPEC.work_item_topic}


def test_the_visibility_timeout_fits_the_workers_settings() -> None:
    """The bounds of the variable: twice STORE_DEADLINE_SECONDS, and SYNC_GAP_SECONDS."""
    text = (FOLDER / "variables.tf").read_text()
    bounds = re.search(r"visibility_timeout_seconds >= (\d+) && var.visibility_timeout_seconds < (\d+)", text)
    assert bounds is not None
    fields = Settings.model_fields
    assert int(bounds[1]) == 2 * fields["store_deadline_seconds"].default
    assert int(bounds[2]) == fields["sync_gap_seconds"].default


def test_the_queues_policy_lets_the_topics_send(parsed: dict[str, Any]) -> None:
    policy = by_name(parsed, "aws_sqs_queue_policy")["aws_sqs_queue_policy.events"]
    queue = by_name(parsed, "aws_sqs_queue")["aws_sqs_queue.events"]
    topics = sorted(each["id"] for each in parsed["aws_sns_topic"])
    assert policy["queue_url"] == queue["id"]
    assert policy_for_topics(policy["policy"], queue["id"], topics) is None, "provision would change it"
    assert denials_of_sending(policy["policy"]) == []


def test_both_queues_take_calls_over_tls_alone(parsed: dict[str, Any]) -> None:
    queues = {each["id"] for each in parsed["aws_sqs_queue"]}
    closed = {
        policy["queue_url"]
        for policy in parsed["aws_sqs_queue_policy"]
        for each in json.loads(policy["policy"])["Statement"]
        if each["Effect"] == "Deny" and each["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    }
    assert closed == queues


def test_the_subscriptions_filter_by_the_prefixes_of_the_events_that_are_handled(parsed: dict[str, Any]) -> None:
    subscriptions = parsed["aws_sns_topic_subscription"]
    assert {each["topic_arn"] for each in subscriptions} == {each["id"] for each in parsed["aws_sns_topic"]}
    for each in subscriptions:
        assert each["filter_policy_scope"] == "MessageBody"
        assert json.loads(each["filter_policy"]) == {"name": [{"prefix": prefix} for prefix in EVENT_PREFIXES]}
        assert each["raw_message_delivery"] is SPEC.raw


def granted(parsed: dict[str, Any]) -> dict[str, Any]:
    """The policies that roles and people get, by the file that they come from, with the ids of this installation."""
    names = {
        "aws_iam_policy.doctor": "iam-doctor",
        "aws_iam_policy.provision": "iam-provision",
        "aws_iam_policy.operators": "iam-redrive",
    }
    policies = {names[path]: each for path, each in by_name(parsed, "aws_iam_policy").items() if path in names}
    policies |= {each["name"]: each for each in parsed["aws_iam_role_policy"]}
    return {name: json.loads(each["policy"]) for name, each in policies.items()}


def test_every_policy_of_deploy_is_granted_as_it_stands(parsed: dict[str, Any]) -> None:
    """tests/worker/aws/test_rights.py holds the files against the calls that the code makes."""
    found = granted(parsed)
    assert found.keys() == POLICIES
    topics = {each["__tfmeta"]["path"]: each["id"] for each in parsed["aws_sns_topic"]}
    queues = by_name(parsed, "aws_sqs_queue")
    ids = {
        "arn:aws:sqs:REGION:ACCOUNT:QUEUE": queues["aws_sqs_queue.events"]["id"],
        "arn:aws:sqs:REGION:ACCOUNT:DEAD_LETTER_QUEUE": queues["aws_sqs_queue.dead_letters"]["id"],
        "arn:aws:sns:REGION:ACCOUNT:CONVERSATION_TOPIC": topics['aws_sns_topic.events["conversation"]'],
        "arn:aws:sns:REGION:ACCOUNT:WORK_ITEM_TOPIC": topics['aws_sns_topic.events["work-item"]'],
    }
    for name, policy in found.items():
        text = (ROOT / "deploy" / f"{name}.json").read_text()
        for arn, own_id in ids.items():
            text = text.replace(f'"{arn}"', f'"{own_id}"')
        assert policy == json.loads(text)
        assert "REGION" not in text


def test_each_process_has_a_role_of_its_own(parsed: dict[str, Any]) -> None:
    roles = {each["id"]: each["name"] for each in parsed["aws_iam_role"]}
    assert {each["name"]: roles[each["role"]] for each in parsed["aws_iam_role_policy"]} == {
        "iam-policy": "routing-sync-worker",
        "iam-serve": "routing-sync-serve",
    }


def test_an_alarm_names_its_section_of_the_runbook_and_watches_what_exists(parsed: dict[str, Any]) -> None:
    sections = anchors(ROOT / "docs" / "runbook.md")
    names = {each["name"] for kind in ("aws_sqs_queue", "aws_sns_topic") for each in parsed[kind]}
    alarms = parsed["aws_cloudwatch_metric_alarm"]
    assert len(alarms) == 6
    for alarm in alarms:
        (anchor,) = re.findall(r"docs/runbook\.md#([\w-]+)$", alarm["alarm_description"])
        assert anchor in sections
        assert len(alarm["alarm_description"]) > 80, "the threshold's reason"
        if alarm["namespace"] == "AWS/SQS":
            assert alarm["dimensions"]["QueueName"] in names


def test_the_outputs_are_settings(parsed: dict[str, Any]) -> None:
    (settings,) = [each for each in parsed["output"] if each["__tfmeta"]["path"] == "output.settings"]
    assert {name.lower() for name in settings["value"]} <= Settings.model_fields.keys()
