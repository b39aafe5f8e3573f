"""A worker with a queue, topics and a database of its own, the API beside it, and the helpdesk services around it."""

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import botocore.session
from msgspec import Struct
from pymongo import MongoClient

from demo.messages import ORG, Data, Message, side_of
from demo.processes import COMMAND, POLL_S, Api, ApiClient, DemoError, DemoWorker, HttpAnswer, Record, VerbProcess
from env_file import provisioned
from handlers.documents.document import document_from_snapshot, snapshot_of
from mongod import Mongod
from moto_server import MotoServer

HANDLED_WITHIN_S = 30
SETTINGS: Mapping[str, Mapping[str, str]] = {
    "legacy": {},
    "causal": {"CREATE_WORK_ITEMS": "true", "QUEUE_RULES": "true", "WAITING_TIMES": "true", "STATUS_SECONDS": "1"},
}
"""The settings of each policy's installation, besides `SYNC_POLICY` and where everything is."""
_ANNOUNCED = {"CREATE_WORK_ITEM", "QUEUE_WORK_ITEM", "SYNC_CONVERSATION", "SYNC_WORK_ITEM"}
"""The actions of the worker's writes; each has an event of its own."""
_UPDATE = "kustomer.work-item.update"

Found = TypeVar("Found")


class Services(Struct, frozen=True, kw_only=True):
    """Clients of the servers."""

    sns: Any
    sqs: Any
    mongo: MongoClient[dict[str, Any]]

    @classmethod
    def at(cls, variables: Mapping[str, str]) -> "Services":
        """Clients of the servers that the variables name."""
        session = botocore.session.get_session()
        where: dict[str, Any] = {
            "region_name": variables["AWS_REGION"],
            "endpoint_url": variables["AWS_ENDPOINT_URL"],
            "aws_access_key_id": variables["AWS_ACCESS_KEY_ID"],
            "aws_secret_access_key": variables["AWS_SECRET_ACCESS_KEY"],
        }
        return cls(
            sns=session.create_client("sns", **where),
            sqs=session.create_client("sqs", **where),
            mongo=MongoClient(variables["MONGODB_URI"], tz_aware=True),
        )

    def close(self) -> None:
        """Close the connections."""
        self.mongo.close()
        self.sns.close()
        self.sqs.close()


class Installation:
    """A worker under one policy, its queue, topics and database."""

    def __init__(self, policy: str, variables: Mapping[str, str], folder: Path, services: Services) -> None:
        self.policy = policy
        self._variables = {**variables, "SYNC_POLICY": policy, **SETTINGS[policy]}
        self._folder = folder
        self._sns, self._sqs = services.sns, services.sqs
        self.database = services.mongo[variables["MONGODB_DATABASE"]]
        self.worker = DemoWorker(self._variables, folder / f"{policy}.log")
        self._api: Api | None = None
        self._published: set[str] = set()
        self._updated: set[tuple[str, int]] = set()

    @property
    def api(self) -> Api:
        """The API, once it has started; only after `launch_api`."""
        assert self._api is not None, "launch_api comes first"
        self._api.wait_until_started()
        return self._api

    @property
    def processes(self) -> Sequence[VerbProcess]:
        """The worker, and the API if there is one."""
        return [self.worker] if self._api is None else [self.worker, self._api]

    def launch_api(self) -> None:
        """Start the API without waiting for it."""
        self._api = Api(self._variables, self._folder / f"{self.policy}-api.log")

    def seed(self, **documents: Sequence[Data]) -> None:
        """Store documents, by collection, as their own services do."""
        for collection, each in documents.items():
            self.database[collection].insert_many([dict(document) for document in each])

    def store(self, message: Message) -> None:
        """Store the document that a message announces, as its owning service does."""
        data = message["body"]["data"]
        collection = "conversations" if data["type"] == "conversation" else "work_items"
        self.database[collection].insert_one(document_from_snapshot(data, org=ORG, rev=data["attributes"]["rev"]))

    def publish(self, message: Message) -> None:
        """Publish a message to the topic of its side."""
        conversation = side_of(message["body"]["data"]) == "conversation"
        topic = "SNS_CONVERSATION_TOPIC_ARN" if conversation else "SNS_WORK_ITEM_TOPIC_ARN"
        self._published.add(message["body"]["id"])
        self._sns.publish(TopicArn=self._variables[topic], Message=json.dumps(message))

    def wait_until_handled(self, message: Message, *, dead_letter: bool = False) -> Record | None:
        """Wait until the event is handled and the events that it caused have come back; its audit record.

        With `dead_letter`, wait until the message is in the dead-letter queue instead, and return None.
        """
        event_id = message["body"]["id"]
        if dead_letter:
            _wait(lambda: self.queue_depth("SQS_DEAD_LETTER_QUEUE_URL") > 0 or None, f"event {event_id}")
            return None

        def is_it(audit: Record) -> bool:
            return bool(audit["event"]["id"] == event_id)

        return _wait(lambda: self._handled(is_it), f"event {event_id}")

    def update(self, work_item: str, update: Mapping[str, Any], *, client: ApiClient) -> Record:
        """Update a work-item over HTTP, and wait until the worker has handled the update's event; its audit record."""
        answer = self.api.put(work_item, update, client=client)
        if answer.status != 200:
            raise DemoError(f"the API answered {answer.status} to {dict(update)}: {answer.text[:300]}")
        rev = answer.data["attributes"]["rev"]
        self._updated.add((work_item, rev))

        def is_it(audit: Record) -> bool:
            return _update_of(audit) == (work_item, rev)

        return _wait(lambda: self._handled(is_it), f"the event of {work_item}, revision {rev},")

    def own_events(self) -> list[Record]:
        """The audit records of the events of the worker's own writes, one each delivery."""
        return [
            audit
            for audit in self._audits_of_events()
            if audit["event"]["id"] not in self._published and _update_of(audit) not in self._updated
        ]

    def writes(self) -> int:
        """How many documents the worker has written; each write has an event of its own."""
        applied = [audit for audit in self.worker.audits if audit["outcome"] == "applied"]
        return sum(len(_ANNOUNCED & {reason["action"] for reason in audit["reasons"]}) for audit in applied)

    def data(self, collection: str, document_id: str) -> Data:
        """A stored document as an event's data; raises `DemoError` where it is not stored."""
        document = self.database[collection].find_one({"_id": document_id})
        if document is None:
            raise DemoError(f"{document_id} is not in {collection}: an earlier event should have stored it")
        return snapshot_of(document)

    def work_item_of(self, conversation: str) -> str:
        """The id of a conversation's work-item, as the API tells it."""
        found = self.api.get(f"/v1/routing/conversations/{conversation}/work-items").data
        if not found:
            raise DemoError(f"{conversation} has no work-item: the worker should have created one")
        return str(found[0]["id"])

    def page(self, path: str, *, until: Callable[[str], bool]) -> HttpAnswer | None:
        """A page of the API, once it shows what it should; None if it does not."""
        try:
            return _wait(lambda: answer if until((answer := self.api.page(path)).text) else None, f"the page {path}")
        except DemoError:
            return None

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
        """Kill the processes that still run."""
        for process in self.processes:
            process.close()

    def _audits_of_events(self) -> list[Record]:
        return [audit for audit in self.worker.audits if audit["event"]]

    def _handled(self, is_it: Callable[[Record], bool]) -> Record | None:
        """The audit record of an event, once every event of the worker's own writes has come back."""
        self.worker.read_log()
        back = {audit["event"]["id"] for audit in self.own_events()}
        return next(filter(is_it, self._audits_of_events()), None) if len(back) == self.writes() else None


@contextmanager
def embedded(policies: Sequence[str], folder: Path) -> Iterator[list[Installation]]:
    """Start the servers, provision for each policy, and start its worker. `folder` takes the processes' logs."""
    with ExitStack() as stack:
        moto, mongod = MotoServer(), Mongod()
        for server in (moto, mongod):
            stack.callback(server.close)
            server.launch()
        mongod.wait_until_ready()
        moto.wait_until_ready()
        shared = {**moto.environment, "MONGODB_URI": mongod.uri}
        services = Services.at(shared)
        stack.callback(services.close)
        started = []
        for policy, made in zip(policies, _provisioned(policies, shared), strict=True):
            variables = {**shared, **made, "MONGODB_DATABASE": f"routing_sync_{policy}"}
            installation = Installation(policy, variables, folder, services)
            stack.callback(installation.close)
            started.append(installation)
        for installation in started:
            installation.worker.wait_until_started()
        yield started


def _provisioned(policies: Sequence[str], variables: Mapping[str, str]) -> list[dict[str, str]]:
    with ExitStack() as stack:
        running = []
        for policy in policies:
            process = subprocess.Popen(
                [COMMAND, "provision", "--json", "--prefix", policy],
                env={**os.environ, **variables},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            running.append(stack.enter_context(process))
            # Before its exit, which waits for it.
            stack.callback(process.kill)
        made = []
        for process in running:
            output, errors = process.communicate()
            if process.returncode != 0:
                raise DemoError((errors.strip().splitlines() or ["`routing-sync provision` failed without output"])[-1])
            made.append(provisioned(output))
        return made


def _wait(look: Callable[[], Found | None], what: str) -> Found:
    """Look until there is something; raises `DemoError` after `HANDLED_WITHIN_S`."""
    deadline = time.monotonic() + HANDLED_WITHIN_S
    while (found := look()) is None:
        if time.monotonic() > deadline:
            raise DemoError(f"{what} was not handled within {HANDLED_WITHIN_S} s: try again on an idle machine")
        time.sleep(POLL_S)
    return found


def _update_of(audit: Record) -> tuple[str, int] | None:
    """The work-item and the revision of an update's event; None for another event."""
    event = audit["event"]
    return (audit["workItemId"], event["rev"]) if event["name"] == _UPDATE else None
