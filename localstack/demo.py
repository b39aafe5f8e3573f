"""`make demo`: the whole way of an event on this machine, on embedded parts, in about half a minute.

Starts moto's server (SNS, SQS) and a real mongod, provisions, starts the worker as a process of its own, publishes the
story one event at a time, waits until the queue is empty, shows what each event led to and why, checks the end, stops
everything. Exit status 0 only if every check holds.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import botocore.session
from pymongo import MongoClient
from rich.console import Console

from demo_report import Report, Row, keep_picture
from demo_story import PAIRS, QUEUES, SESSIONS, Step, story
from env_file import provisioned
from handlers.documents.document import data_of
from mongod import Mongod
from moto_server import MotoServer
from server_process import ServerError

DATABASE = "routing_sync_demo"
SETTLED_WITHIN_S = 30
_POLL_S = 0.05


class DemoError(Exception):
    """The demo cannot go on; one line."""


class Worker:
    """The worker's process, and what it has logged."""

    def __init__(self, environment: Mapping[str, str], log: Path) -> None:
        self.log = log
        self._read = 0
        self.audits: list[dict[str, Any]] = []
        self.process = subprocess.Popen(
            [_command(), "run"], env={**os.environ, **environment}, stdout=log.open("wb"), stderr=subprocess.STDOUT
        )

    def look(self) -> None:
        """Take in the audit lines that have been written since."""
        with self.log.open("rb") as lines:
            lines.seek(self._read)
            for line in lines:
                if not line.endswith(b"\n"):
                    break
                self._read += len(line)
                record = json.loads(line) if line.startswith(b"{") else {}
                if record.get("msg") == "CONVERSATION_SYNC_AUDIT":
                    self.audits.append(record)
        if self.process.poll() is not None:
            tail = self.log.read_text().strip().splitlines()[-1:]
            raise DemoError(f"the worker ended with status {self.process.returncode}: {''.join(tail)[:400]}")

    def audit_of(self, event_id: str) -> dict[str, Any] | None:
        """The record of an event, if it has been handled."""
        return next((record for record in self.audits if (record["event"] or {}).get("id") == event_id), None)

    def stop(self) -> int:
        """SIGTERM, and the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)


class Outside:
    """The rest of the helpdesk: publishes events, and looks at queues and documents."""

    def __init__(self, environment: Mapping[str, str], mongodb_uri: str) -> None:
        session = botocore.session.get_session()
        where: dict[str, Any] = {
            "region_name": environment["AWS_REGION"],
            "endpoint_url": environment["AWS_ENDPOINT_URL"],
            "aws_access_key_id": environment["AWS_ACCESS_KEY_ID"],
            "aws_secret_access_key": environment["AWS_SECRET_ACCESS_KEY"],
        }
        self._sns: Any = session.create_client("sns", **where)
        self._sqs: Any = session.create_client("sqs", **where)
        self._environment = environment
        self.mongo: MongoClient[dict[str, Any]] = MongoClient(mongodb_uri, tz_aware=True)
        self.database = self.mongo[DATABASE]

    def seed(self) -> None:
        """The agents' sessions and the queues, which their own services would have written."""
        self.database["work_sessions"].insert_many([dict(each) for each in SESSIONS])
        self.database["queues"].insert_many([dict(each) for each in QUEUES])

    def publish(self, step: Step) -> dict[str, Any]:
        """Publish the step's message; the message."""
        message = step.message(self.data)
        topic = "SNS_CONVERSATION_TOPIC_ARN" if step.side == "conversation" else "SNS_WORK_ITEM_TOPIC_ARN"
        self._sns.publish(TopicArn=self._environment[topic], Message=json.dumps(message))
        return message

    def data(self, collection: str, document_id: str) -> Mapping[str, Any]:
        """A document as an event's data."""
        document = self.database[collection].find_one({"_id": document_id})
        if document is None:
            raise DemoError(f"{document_id} is not in {collection}: the event before did not bring it there")
        return data_of(document)

    def queue_depth(self, queue: str) -> int:
        """Messages in the queue, in flight included."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        attributes = self._sqs.get_queue_attributes(QueueUrl=self._environment[queue], AttributeNames=names)
        return sum(int(value) for value in attributes["Attributes"].values())

    def dead_letters(self) -> list[dict[str, Any]]:
        """The dead letters' attributes."""
        url = self._environment["SQS_DEAD_LETTER_QUEUE_URL"]
        received = self._sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"], WaitTimeSeconds=0
        )
        return [
            {name: value["StringValue"] for name, value in message.get("MessageAttributes", {}).items()}
            for message in received.get("Messages", [])
        ]


def play(outside: Outside, worker: Worker, console: Console) -> list[Row]:
    """The story, one event at a time; what each led to."""
    rows: list[Row] = []
    with console.status("the story begins") as status:
        for step in story():
            status.update(f"{step.scene}: {step.what}")
            letters = outside.queue_depth("SQS_DEAD_LETTER_QUEUE_URL")
            event_id = outside.publish(step)["body"]["id"]
            audit = _settled(outside, worker, event_id, letters)
            rows.append(Row(scene=step.scene, what=step.what, audit=audit))
    return rows


def _settled(outside: Outside, worker: Worker, event_id: str, letters: int) -> dict[str, Any] | None:
    """Wait until the event, and every sync it caused, has been handled; its audit record, None for a dead letter."""
    deadline = time.monotonic() + SETTLED_WITHIN_S
    while time.monotonic() < deadline:
        worker.look()
        audit = worker.audit_of(event_id)
        dead = outside.queue_depth("SQS_DEAD_LETTER_QUEUE_URL") > letters
        announced = outside.database["outbox"].count_documents({}) == 0
        if (audit or dead) and announced and outside.queue_depth("SQS_QUEUE_URL") == 0:
            worker.look()
            return worker.audit_of(event_id)
        time.sleep(_POLL_S)
    raise DemoError(f"event {event_id} was not settled within {SETTLED_WITHIN_S} s: see {worker.log}")


@contextmanager
def embedded() -> Iterator[dict[str, str]]:
    """The servers, provisioned; where they are, as variables."""
    with MotoServer() as moto, Mongod() as mongod:
        variables = {**moto.environment, "MONGODB_URI": mongod.uri, "MONGODB_DATABASE": DATABASE, "HTTP_PORT": "0"}
        done = subprocess.run(
            [_command(), "provision", "--json"],
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise DemoError(f"provisioning failed: {done.stderr.strip()}")
        yield variables | provisioned(done.stdout)


def run(console: Console, *, as_json: bool) -> bool:
    """The whole demo; True if every check holds."""
    console.print("Starting SNS and SQS (moto) and MongoDB (a real one) …", style="dim")
    with tempfile.TemporaryDirectory(prefix="routing-sync-demo-") as folder, embedded() as variables:
        outside = Outside(variables, variables["MONGODB_URI"])
        outside.seed()
        worker = Worker(variables, Path(folder) / "worker.log")
        try:
            rows = play(outside, worker, console)
            status = worker.stop()
            worker_audits = worker.audits
            report = Report(rows=rows, audits=worker_audits, exit_status=status)
            for pair in PAIRS:
                report.look_at(pair, outside.data("conversations", pair.conversation), _item(outside, pair.work_item))
            report.look_at_rest(
                letters=outside.dead_letters(),
                waiting=outside.queue_depth("SQS_QUEUE_URL"),
                outbox=outside.database["outbox"].count_documents({}),
                sessions=list(outside.database["work_sessions"].find()),
            )
        finally:
            worker.process.kill()
            outside.mongo.close()
    if as_json:
        sys.stdout.write(json.dumps(report.as_json()) + "\n")
    else:
        report.show(console)
    return report.holds


def _item(outside: Outside, work_item: str) -> Mapping[str, Any]:
    return outside.data("work_items", work_item)


def _command() -> str:
    return str(Path(sys.executable).parent / "routing-sync")


def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(description="The whole worker on this machine, on embedded parts")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="keep a picture of what is printed")
    asked = parser.parse_args()
    console = Console(stderr=asked.json, record=asked.svg is not None, width=132 if asked.svg else None)
    try:
        held = run(console, as_json=asked.json)
        if asked.svg:
            keep_picture(console, asked.svg)
        return 0 if held else 1
    except (DemoError, ServerError) as fault:
        print(f"demo: {fault}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("demo: stopped, and everything it started with it", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
