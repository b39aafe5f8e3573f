"""One worker process with a queue, topics and a database of its own, and the helpdesk services around it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import botocore.session
from pymongo import MongoClient

from demo.messages import ORG, Data, Message, side_of
from env_file import provisioned
from handlers.documents.document import document_from_snapshot, snapshot_of
from mongod import Mongod
from moto_server import MotoServer

COMMAND = str(Path(sys.executable).parent / "routing-sync")
STARTED_WITHIN_S = 60
HANDLED_WITHIN_S = 30
_POLL_S = 0.05


class DemoError(Exception):
    """The demo cannot go on; one line."""


class Worker:
    """A `routing-sync run` process, and the audit lines that it has logged."""

    def __init__(self, environment: Mapping[str, str], log: Path) -> None:
        self.log = log
        self.started = False
        self.audits: list[dict[str, Any]] = []
        self._read_bytes = 0
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [COMMAND, "run"],
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def read_log(self) -> None:
        """Take in the lines written since the last call; raises `DemoError` if the process has ended."""
        with self.log.open("rb") as lines:
            lines.seek(self._read_bytes)
            for line in lines:
                if not line.endswith(b"\n"):
                    break
                self._read_bytes += len(line)
                record = json.loads(line) if line.startswith(b"{") else {}
                self.started |= record.get("msg") == "worker started"
                if record.get("msg") == "CONVERSATION_SYNC_AUDIT":
                    self.audits.append(record)
        if self.process.poll() is not None:
            last = self.log.read_text().strip().splitlines()[-1:]
            raise DemoError(f"the worker ended with status {self.process.returncode}: {''.join(last)[:400]}")

    def wait_until_started(self) -> None:
        """Wait until the worker receives; raises `DemoError` after `STARTED_WITHIN_S`."""
        deadline = time.monotonic() + STARTED_WITHIN_S
        while not self.started:
            if time.monotonic() > deadline:
                raise DemoError(f"a worker did not start within {STARTED_WITHIN_S} s: try again on an idle machine")
            time.sleep(_POLL_S)
            self.read_log()

    def audit_of(self, event_id: str) -> dict[str, Any] | None:
        """The audit record of an event; None as long as the event is not handled."""
        return next((record for record in self.audits if (record["event"] or {}).get("id") == event_id), None)

    def writes(self) -> int:
        """Documents written by syncs."""
        applied = [record for record in self.audits if record["outcome"] == "applied"]
        return sum(record[key] is not None for record in applied for key in ("updatedConversation", "updatedWorkItem"))

    def returned_syncs(self) -> list[str]:
        """The ids of the worker's own syncs that came back to it as events, one each delivery."""
        return [each["event"]["id"] for each in self.audits if each["event"] and _is_sync(each)]

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)


class Installation:
    """A worker under one policy, its queue, topics and database."""

    def __init__(self, policy: str, variables: Mapping[str, str], folder: Path) -> None:
        self.policy = policy
        self._variables = variables
        session = botocore.session.get_session()
        where: dict[str, Any] = {
            "region_name": variables["AWS_REGION"],
            "endpoint_url": variables["AWS_ENDPOINT_URL"],
            "aws_access_key_id": variables["AWS_ACCESS_KEY_ID"],
            "aws_secret_access_key": variables["AWS_SECRET_ACCESS_KEY"],
        }
        self._sns: Any = session.create_client("sns", **where)
        self._sqs: Any = session.create_client("sqs", **where)
        self._mongo: MongoClient[dict[str, Any]] = MongoClient(variables["MONGODB_URI"], tz_aware=True)
        self.database = self._mongo[variables["MONGODB_DATABASE"]]
        self.worker = Worker(variables, folder / f"{policy}.log")

    def seed(self, sessions: Sequence[Data], queues: Sequence[Data]) -> None:
        """Store the agents' sessions and the queues, as their own services do."""
        self.database["work_sessions"].insert_many([dict(each) for each in sessions])
        self.database["queues"].insert_many([dict(each) for each in queues])

    def store(self, message: Message) -> None:
        """Store the document that a message announces, as its owning service does."""
        data = message["body"]["data"]
        collection = "conversations" if data["type"] == "conversation" else "work_items"
        self.database[collection].insert_one(document_from_snapshot(data, org=ORG, rev=data["attributes"]["rev"]))

    def publish(self, message: Message) -> None:
        """Publish a message to the topic of its side."""
        conversation = side_of(message["body"]["data"]) == "conversation"
        topic = "SNS_CONVERSATION_TOPIC_ARN" if conversation else "SNS_WORK_ITEM_TOPIC_ARN"
        self._sns.publish(TopicArn=self._variables[topic], Message=json.dumps(message))

    def wait_until_handled(self, message: Message, *, dead_letter: bool = False) -> dict[str, Any] | None:
        """Wait until the event is handled and the syncs it caused have come back; its audit record.

        With `dead_letter`, wait until the message is in the dead-letter queue instead, and return None.
        """
        event_id = message["body"]["id"]
        deadline = time.monotonic() + HANDLED_WITHIN_S
        while time.monotonic() < deadline:
            self.worker.read_log()
            audit = self.worker.audit_of(event_id)
            if audit and len(set(self.worker.returned_syncs())) == self.worker.writes():
                return audit
            if dead_letter and self.queue_depth("SQS_DEAD_LETTER_QUEUE_URL") > 0:
                return None
            time.sleep(_POLL_S)
        raise DemoError(f"event {event_id} was not handled within {HANDLED_WITHIN_S} s: try again on an idle machine")

    def data(self, collection: str, document_id: str) -> Data:
        """A stored document as an event's data; raises `DemoError` where it is not stored."""
        document = self.database[collection].find_one({"_id": document_id})
        if document is None:
            raise DemoError(f"{document_id} is not in {collection}: an earlier event should have stored it")
        return snapshot_of(document)

    def queue_depth(self, queue: str) -> int:
        """Messages in a queue, in flight included. `queue`: the variable that holds its URL."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        attributes = self._sqs.get_queue_attributes(QueueUrl=self._variables[queue], AttributeNames=names)
        return sum(int(value) for value in attributes["Attributes"].values())

    def dead_letters(self) -> list[dict[str, Any]]:
        """The attributes of the messages in the dead-letter queue."""
        url = self._variables["SQS_DEAD_LETTER_QUEUE_URL"]
        received = self._sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"], WaitTimeSeconds=0
        )
        return [
            {
                name: value["StringValue"]
                for name, value in message.get("MessageAttributes", {}).items()
                if "StringValue" in value
            }
            for message in received.get("Messages", [])
        ]

    def close(self) -> None:
        """Kill the worker if it still runs, and close the connections."""
        self.worker.process.kill()
        self.worker.process.wait()
        self._mongo.close()
        self._sns.close()
        self._sqs.close()


@contextmanager
def embedded(policies: Sequence[str], folder: Path) -> Iterator[list[Installation]]:
    """Start the servers, provision for each policy, and start its worker. `folder` takes the workers' logs."""
    with MotoServer() as moto, Mongod() as mongod, ExitStack() as stack:
        shared = {**moto.environment, "MONGODB_URI": mongod.uri, "HTTP_PORT": "0"}
        started = []
        for policy, made in zip(policies, _provisioned(policies, shared), strict=True):
            own = {"MONGODB_DATABASE": f"routing_sync_{policy}", "SYNC_POLICY": policy}
            installation = Installation(policy, {**shared, **made, **own}, folder)
            stack.callback(installation.close)
            started.append(installation)
        for installation in started:
            installation.worker.wait_until_started()
        yield started


def _provisioned(policies: Sequence[str], variables: Mapping[str, str]) -> list[dict[str, str]]:
    running = [
        subprocess.Popen(
            [COMMAND, "provision", "--json", "--prefix", policy],
            env={**os.environ, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for policy in policies
    ]
    made = []
    for process in running:
        output, errors = process.communicate()
        if process.returncode != 0:
            raise DemoError((errors.strip().splitlines() or ["`routing-sync provision` failed without output"])[-1])
        made.append(provisioned(output))
    return made


def _is_sync(record: Mapping[str, Any]) -> bool:
    return any(reason["code"] == "IS_SYNC" for reason in record["reasons"])
