"""The stage of one test: its own queues, topics and database on given servers, and the workers that it starts."""

import contextlib
import json
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import botocore.session
from msgspec import Struct
from pymongo import MongoClient
from pymongo.database import Database

from tests.e2e.worker_process import COMMAND, WorkerProcess, wait_until

_numbers = count(1)


@dataclass(slots=True, kw_only=True)
class Stage:
    """The servers' addresses, the provisioned queues and topics, and the workers of one test."""

    variables: dict[str, str]
    folder: Path
    database: Database[dict[str, Any]]
    sqs: Any
    sns: Any
    spy_url: str
    provisioning: "Provisioning"
    kind: type[WorkerProcess] = WorkerProcess
    workers: list[WorkerProcess] = field(default_factory=list)

    def worker(self, **variables: str) -> WorkerProcess:
        """Start another worker on the same queue."""
        worker = self.kind({**self.variables, **variables}, self.folder, f"worker-{len(self.workers) + 1}")
        self.workers.append(worker)
        return worker

    def publish(self, messages: Sequence[Mapping[str, Any]]) -> None:
        """Publish to the topics as the producers do, ten a call."""
        for side in ("conversation", "work-item"):
            topic = self.variables[f"SNS_{side.replace('-', '_').upper()}_TOPIC_ARN"]
            own = [each for each in messages if f".{side}." in each["name"]]
            for start in range(0, len(own), 10):
                entries = [
                    {"Id": str(number), "Message": json.dumps(each)} | _grouped(topic, _conversation_of(each))
                    for number, each in enumerate(own[start : start + 10])
                ]
                assert not self.sns.publish_batch(TopicArn=topic, PublishBatchRequestEntries=entries)["Failed"]

    def send(self, bodies: Sequence[str]) -> None:
        """Send straight into the queue, ten a call."""
        for start in range(0, len(bodies), 10):
            url = self.variables["SQS_QUEUE_URL"]
            entries = [
                {"Id": str(n), "MessageBody": body} | _grouped(url, str(next(_numbers)))
                for n, body in enumerate(bodies[start : start + 10])
            ]
            answer = self.sqs.send_message_batch(QueueUrl=url, Entries=entries)
            assert not answer.get("Failed")

    def provision_again(self) -> None:
        """Make the same queues and topics by the same names, after the servers have lost them."""
        assert self.provisioning.done(self.variables).items() <= self.variables.items()
        assert _spy(self.sqs, self.sns, self.variables, self.provisioning) == self.spy_url

    def depth(self, url: str | None = None) -> int:
        """Messages in a queue, in flight included."""
        names = [
            "ApproximateNumberOfMessages",
            "ApproximateNumberOfMessagesNotVisible",
            "ApproximateNumberOfMessagesDelayed",
        ]
        answer = self.sqs.get_queue_attributes(QueueUrl=url or self.variables["SQS_QUEUE_URL"], AttributeNames=names)
        return sum(int(value) for value in answer["Attributes"].values())

    def in_flight(self) -> int:
        """Messages that a worker has in flight."""
        name = "ApproximateNumberOfMessagesNotVisible"
        answer = self.sqs.get_queue_attributes(QueueUrl=self.variables["SQS_QUEUE_URL"], AttributeNames=[name])
        return int(answer["Attributes"][name])

    def drained(self) -> bool:
        return self.depth() == 0 and self.database["outbox"].count_documents({}) == 0

    def wait_drained(self, *, within_s: float) -> None:
        wait_until(
            self.drained,
            within_s=within_s,
            what=lambda: f"{self.depth()} messages and {self.database['outbox'].count_documents({})} events are left",
        )

    def dead_letters(self) -> list[dict[str, Any]]:
        return self.take_all(self.variables["SQS_DEAD_LETTER_QUEUE_URL"])

    def announced(self, *, until: Callable[[set[str]], object] = lambda _: True) -> list[dict[str, Any]]:
        """The syncs that another subscriber of the topics has received so far.

        SNS accepts a message before it delivers it: this waits until `until` accepts the ids that have arrived.
        """
        syncs: list[dict[str, Any]] = []

        def enough() -> bool:
            messages = [json.loads(json.loads(each["Body"])["Message"]) for each in self.take_all(self.spy_url)]
            syncs.extend(message for message in messages if message["body"].get("isSync") is True)
            return bool(until({message["id"] for message in syncs}))

        wait_until(enough, within_s=30, what=lambda: f"{len(syncs)} announcements have arrived")
        return syncs

    def take_all(self, url: str) -> list[dict[str, Any]]:
        taken: list[dict[str, Any]] = []
        while True:
            answer = self.sqs.receive_message(
                QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"], WaitTimeSeconds=0
            )
            messages = answer.get("Messages", [])
            if not messages:
                return taken
            taken.extend(messages)
            entries = [{"Id": str(n), "ReceiptHandle": m["ReceiptHandle"]} for n, m in enumerate(messages)]
            self.sqs.delete_message_batch(QueueUrl=url, Entries=entries)


@contextlib.contextmanager
def staged_on(
    aws: Mapping[str, str],
    mongodb_uri: str,
    folder: Path,
    *,
    name: str = "e2e",
    receive_count_max: int = 20,
    fifo: bool = False,
) -> Iterator[Stage]:
    """Provision under names of its own; closes every worker at the end."""
    name = f"{name}-{os.getpid()}-{next(_numbers)}"
    provisioning = Provisioning(name=name, receive_count_max=receive_count_max, fifo=fifo)
    variables = {
        **aws,
        "MONGODB_URI": mongodb_uri,
        "MONGODB_DATABASE": name,
        "RELAY_AGE_SECONDS": "5",
    }
    variables |= provisioning.done(variables)
    session = botocore.session.get_session()
    where: dict[str, Any] = {
        "region_name": aws["AWS_REGION"],
        "endpoint_url": aws["AWS_ENDPOINT_URL"],
        "aws_access_key_id": aws["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": aws["AWS_SECRET_ACCESS_KEY"],
    }
    sqs: Any = session.create_client("sqs", **where)
    sns: Any = session.create_client("sns", **where)
    spy_url = _spy(sqs, sns, variables, provisioning)
    client: MongoClient[dict[str, Any]] = MongoClient(mongodb_uri, tz_aware=True)
    stage = Stage(
        variables=variables,
        folder=folder,
        database=client[name],
        sqs=sqs,
        sns=sns,
        spy_url=spy_url,
        provisioning=provisioning,
    )
    try:
        yield stage
    finally:
        for worker in stage.workers:
            worker.close()
        client.close()
        sqs.close()
        sns.close()


class Provisioning(Struct, frozen=True, kw_only=True):
    """The options of `routing-sync provision`."""

    name: str
    receive_count_max: int
    fifo: bool

    def done(self, variables: Mapping[str, str]) -> dict[str, str]:
        """Run it; returns the variables that name queues and topics."""
        done = subprocess.run(
            [
                *(COMMAND, "provision", "--json", "--prefix", self.name),
                *("--visibility-timeout", "10", "--max-receive-count", str(self.receive_count_max)),
                *(("--fifo",) if self.fifo else ()),
            ],
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        printed: dict[str, str] = json.loads(done.stdout)
        return printed


def _spy(sqs: Any, sns: Any, variables: Mapping[str, str], provisioning: Provisioning) -> str:
    """Subscribe another queue to both topics; returns its URL."""
    kind = {"FifoQueue": "true"} if provisioning.fifo else {}
    name = f"{provisioning.name}-spy{'.fifo' if provisioning.fifo else ''}"
    url = str(sqs.create_queue(QueueName=name, Attributes=kind)["QueueUrl"])
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    for topic in ("SNS_CONVERSATION_TOPIC_ARN", "SNS_WORK_ITEM_TOPIC_ARN"):
        # Syncs alone: the test knows the messages that it publishes itself.
        only = {"FilterPolicyScope": "MessageBody", "FilterPolicy": json.dumps({"body": {"isSync": [True]}})}
        sns.subscribe(TopicArn=variables[topic], Protocol="sqs", Endpoint=arn, Attributes=only)
    return url


def _grouped(where: str, group: str) -> dict[str, str]:
    """Group and deduplication id where the name is a FIFO topic's or queue's; every message has a fresh one."""
    return {"MessageGroupId": group, "MessageDeduplicationId": uuid4().hex} if where.endswith(".fifo") else {}


def _conversation_of(message: Mapping[str, Any]) -> str:
    data = message["body"]["data"]
    resource = data["relationships"].get("resource", {}).get("data", data)
    return str(resource["id"])
