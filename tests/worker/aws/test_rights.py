"""The IAM policies of `deploy/` allow exactly the calls that the code makes."""

import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import worker
import worker.aws.provisioning
from server_process import ROOT
from tests.handlers.wire_events import conversation, work_item
from tests.handlers.world import World
from tests.worker.api.face import a_face
from tests.worker.stand_ins.moto_clients import Aws
from worker.aws.provisioning import ProvisioningSpec, provision
from worker.aws.sns.topics import SnsTopics, check_topic
from worker.aws.sqs.message_queue import SqsQueue, read_queue_attributes
from worker.outbox.topic_message import topic_message
from worker.ports.message_queue import DeadLetter, VisibilityChange

PLACEHOLDER = re.compile(
    r"arn:aws:(sqs|sns):REGION:ACCOUNT:(QUEUE|DEAD_LETTER_QUEUE|CONVERSATION_TOPIC|WORK_ITEM_TOPIC)"
)
POLICIES = sorted(file.name for file in (ROOT / "deploy").glob("iam-*.json"))
WITHOUT_A_RESOURCE = {"sns:GetSubscriptionAttributes", "sns:ListTopics", "sns:SetSubscriptionAttributes"}
"""Actions that IAM cannot limit to a topic."""


def policy(name: str) -> list[dict[str, Any]]:
    """The statements of one policy."""
    statements: list[dict[str, Any]] = json.loads((ROOT / "deploy" / name).read_text())["Statement"]
    return statements


def actions(name: str) -> set[str]:
    return {action for statement in policy(name) for action in statement["Action"]}


def action_of(service: str, operation: str) -> str:
    """The IAM action of a call; a call and its batch form have the same."""
    return f"{service}:{operation.removesuffix('Batch')}"


class Calls:
    """The calls of the clients, recorded from botocore's events."""

    def __init__(self, *clients: Any) -> None:
        self.made: set[tuple[str, str]] = set()
        for client in clients:
            client.meta.events.register("before-call", self._note)

    def _note(self, model: Any, **_: object) -> None:
        self.made.add((model.service_model.service_name, model.name))

    @property
    def actions(self) -> set[str]:
        return {action_of(*call) for call in self.made}


async def _work(aws: Aws, url: str, dead_url: str, topics: tuple[str, ...]) -> set[str]:
    """Call every method of the adapters; returns the methods' names."""
    await read_queue_attributes(aws.sqs, url)
    for topic in topics:
        assert await check_topic(aws.sns, topic, "SNS_TOPIC_ARN") is None
        assert await SnsTopics(aws.publishing).publish(topic, [topic_message(id="a", group="c", text="{}")]) == [None]
    queue = aws.adapter(url, dead_url)
    (message, *_) = (await queue.receive(wait_s=0)).messages
    await queue.change_visibility_batch([VisibilityChange(receipt=message.receipt, timeout_s=30)])
    await queue.dead_letter_batch([DeadLetter(body="{}", attributes={})])
    await queue.delete_batch([message.receipt])
    return {"receive", "change_visibility_batch", "dead_letter_batch", "delete_batch", "publish"}


async def test_the_workers_policy_allows_exactly_the_workers_calls(aws: Aws) -> None:
    made = await aws.provisioned()
    calls = Calls(aws.sqs, aws.sns)
    used = await _work(
        aws, made.queue_url, made.dead_letter_queue_url, (made.conversation_topic_arn, made.work_item_topic_arn)
    )
    methods = {name for kind in (SqsQueue, SnsTopics) for name in vars(kind) if not name.startswith("_")}
    assert used == methods, "a new call of an adapter is to be made here, too"
    assert calls.actions == actions("iam-policy.json")


async def test_the_policy_of_provision_allows_exactly_its_calls(aws: Aws) -> None:
    """First nothing exists; then everything exists and differs."""
    calls = Calls(aws.sqs, aws.sns)
    await provision(aws.sns, aws.sqs, ProvisioningSpec(prefix="rights"))
    await provision(aws.sns, aws.sqs, ProvisioningSpec(prefix="rights", raw=True, visibility_timeout_s=77))
    assert calls.actions == actions("iam-provision.json")


async def test_the_policy_of_serve_allows_exactly_its_calls(aws: Aws) -> None:
    topic = (await aws.provisioned()).work_item_topic_arn
    calls = Calls(aws.sqs, aws.sns)
    assert await check_topic(aws.sns, topic, "SNS_WORK_ITEM_TOPIC_ARN") is None
    assert await SnsTopics(aws.publishing).publish(topic, [topic_message(id="a", group="c", text="{}")]) == [None]
    assert calls.actions == actions("iam-serve.json")
    (statement,) = policy("iam-serve.json")
    assert statement["Resource"] == "arn:aws:sns:REGION:ACCOUNT:WORK_ITEM_TOPIC"


async def test_serve_publishes_to_the_topic_of_work_items_alone() -> None:
    """Its policy names no other. What an update means for the conversation is the worker's write."""
    world = World().put(conversation(3, queue="q-1"), work_item(3, queue="q-1", status="queued", queuedCount=1))
    face = a_face(world)
    for update in ({"routed": {"to": "u-1"}}, {"accepted": {"by": "u-1"}}, {"queue": None, "status": "completed"}):
        answer = await face.put("/v1/routing/work-items/w-1", update)
        assert answer.status == 200, answer.text
    assert [message["name"] for message in world.announced()] == ["kustomer.work-item.update"] * 3


def _called(aws: Aws, sources: Iterator[str]) -> set[str]:
    """The operations of the two clients that a source file names, as methods or as paginators."""
    found: set[str] = set()
    for source in sources:
        for service, client in (("sqs", aws.sqs), ("sns", aws.sns)):
            for method, operation in client.meta.method_to_api_mapping.items():
                if re.search(rf'\.{method}\(|get_paginator\("{method}"\)', source):
                    found.add(action_of(service, operation))
    return found


@pytest.mark.thorough
async def test_no_other_file_makes_other_calls(aws: Aws) -> None:
    """The recorded calls are all calls: a new call needs an action in the policy."""
    provisioning: ModuleType = worker.aws.provisioning
    files = Path(inspect.getfile(worker)).parent.rglob("*.py")
    rest = [file.read_text() for file in files if file.name != "provisioning.py"]
    # The doctor tries the worker's calls, and makes some more.
    assert _called(aws, iter(rest)) == actions("iam-policy.json") | actions("iam-doctor.json")
    assert _called(aws, iter([inspect.getsource(provisioning)])) == actions("iam-provision.json")


def test_the_policy_allows_the_calls_of_the_http_transport() -> None:
    called: dict[str, set[str]] = {}
    for file in (Path(inspect.getfile(worker)).parent / "aws").glob("*/http_transport.py"):
        service = file.parent.name
        operations = re.findall(r'call\("(\w+)"', file.read_text())
        called[service] = {action_of(service, operation) for operation in operations}
    assert called == {
        "sqs": {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"},
        "sns": {"sns:Publish"},
    }
    assert set().union(*called.values()) <= actions("iam-policy.json")


@pytest.mark.parametrize("name", POLICIES)
def test_every_statement_names_its_resource(name: str) -> None:
    for statement in policy(name):
        assert statement["Effect"] == "Allow"
        resources = statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
        if resources == ["*"]:
            assert set(statement["Action"]) <= WITHOUT_A_RESOURCE
            continue
        services = {action.partition(":")[0] for action in statement["Action"]}
        for resource in resources:
            found = PLACEHOLDER.fullmatch(resource)
            assert found is not None, resource
            assert services == {found[1]}


def test_the_worker_cannot_create_or_change_a_queue_or_topic() -> None:
    for name in ("iam-policy.json", "iam-serve.json", "iam-doctor.json"):
        assert not [action for action in actions(name) if re.search(r":(Create|Set|Add|Delete(?!Message))", action)]
        limited = [each for each in policy(name) if not set(each["Action"]) <= WITHOUT_A_RESOURCE]
        assert "*" not in json.dumps(limited)
