"""The worker as a process: signals, exit statuses, and its log while a service is away."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from socket import gethostname
from typing import IO, Any
from urllib.request import urlopen

import pytest
from pymongo import MongoClient

from mongod import Mongod
from moto_server import MotoServer
from tests.worker.test_pipeline import CONVERSATION, WORK_ITEM
from worker.cli.main import run
from worker.settings.table import setting_rows
from worker.store.status_documents import report_of
from worker.telemetry.build import BUILD

pytestmark = pytest.mark.thorough

COMMAND = str(Path(sys.executable).parent / "routing-sync")


class Worker:
    """A worker process. A test waits for it by reading its log line by line."""

    def __init__(self, **environment: str) -> None:
        self.process = subprocess.Popen(
            [COMMAND, "run"],
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines: list[dict[str, Any]] = []

    def wait_for(self, message: str) -> dict[str, Any]:
        """The next log line with that `msg`."""
        for line in self._out:
            self.lines.append(json.loads(line))
            if self.lines[-1]["msg"] == message:
                return self.lines[-1]
        raise AssertionError(
            f"it ended without saying {message!r}: {self.process.stderr and self.process.stderr.read()}"
        )

    @property
    def _out(self) -> IO[str]:
        assert self.process.stdout is not None
        return self.process.stdout

    def end(self, *signals: signal.Signals) -> tuple[int, str]:
        """Send the signals and wait; returns exit status and standard error."""
        for number in signals:
            self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=30)
        return self.process.returncode, errors

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


@pytest.fixture(scope="module")
def made(moto: MotoServer) -> dict[str, str]:
    """The variables of `provision`: the queues and topics that all tests of this file share."""
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(StringIO()) as out:
        for name, value in moto.environment.items():
            patch.setenv(name, value)
        assert run(["provision", "--json", "--prefix", "process"]) == 0
    variables: dict[str, str] = json.loads(out.getvalue())
    return variables


@pytest.fixture
def environment(moto: MotoServer, made: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment variables of a worker, without MONGODB_URI."""
    for row in setting_rows():
        monkeypatch.delenv(row.name, raising=False)
    variables = {**moto.environment, **made, "HTTP_PORT": "0", "MONGODB_DATABASE": "process"}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def started() -> Iterator[list[Worker]]:
    workers: list[Worker] = []
    yield workers
    for worker in workers:
        worker.close()


@pytest.mark.usefixtures("environment")
def test_it_works_until_sigterm_and_exits_0(mongod: Mongod, started: list[Worker], tmp_path: Path) -> None:
    worker = Worker(MONGODB_URI=mongod.uri, DD_VERSION="1.2.3", SYNC_POLCY="legacy")
    started.append(worker)
    data: dict[str, Any] = {"id": "c1", "type": "conversation", "attributes": {"rev": 1, "status": "open"}}
    file = tmp_path / "events.ndjson"
    file.write_text(json.dumps({"id": "e1", "name": "kustomer.conversation.update", "data": data}))
    assert run(["publish", str(file)]) == 0
    port = worker.wait_for("worker starting")["httpPort"]
    mistyped = worker.wait_for("unknown variable, mistyped?")
    assert (mistyped["variable"], mistyped["setting"]) == ("SYNC_POLCY", "SYNC_POLICY")
    assert worker.wait_for("worker started")["build"] == BUILD
    audit = worker.wait_for("CONVERSATION_SYNC_AUDIT")
    with urlopen(f"http://127.0.0.1:{port}/readyz") as response:
        watermark = json.load(response)["watermark"]
    assert (watermark["time"], watermark["reason"]) == (None, "BACKLOG_UNKNOWN")
    assert (audit["event"]["id"], audit["dd"]["version"]) == ("e1", "1.2.3")
    assert worker.end(signal.SIGTERM) == (0, "")


@pytest.mark.usefixtures("environment")
def test_it_leaves_its_report_where_asked_and_says_that_it_has_stopped(
    mongod: Mongod, started: list[Worker], tmp_path: Path
) -> None:
    worker = Worker(MONGODB_URI=mongod.uri, MONGODB_DATABASE="reports", STATUS_SECONDS="0.05")
    started.append(worker)
    file = tmp_path / "events.ndjson"
    file.write_text(f"{WORK_ITEM}\n{CONVERSATION}\n")
    assert run(["publish", str(file)]) == 0
    while worker.wait_for("CONVERSATION_SYNC_AUDIT")["outcome"] != "applied":
        pass
    assert worker.end(signal.SIGTERM) == (0, "")
    with MongoClient[dict[str, Any]](mongod.uri, tz_aware=True) as client:
        (document,) = client["reports"]["fleet"].find({"report": {"$exists": True}})
    report = report_of(document)
    assert report is not None
    assert document["_id"] == f"worker/{gethostname()}:{worker.process.pid}"
    assert report.stopped
    assert [(each.conversation_id, each.outcome) for each in report.decisions] == [("c1", "applied")]


@pytest.mark.usefixtures("environment")
def test_row_10_one_topic_for_both_sides_is_warned_of(
    mongod: Mongod, started: list[Worker], made: dict[str, str]
) -> None:
    topic = made["SNS_CONVERSATION_TOPIC_ARN"]
    worker = Worker(MONGODB_URI=mongod.uri, SNS_WORK_ITEM_TOPIC_ARN=topic)
    started.append(worker)
    doubt = worker.wait_for("topics swapped or mistyped?")
    assert doubt["reason"] == "SNS_CONVERSATION_TOPIC_ARN and SNS_WORK_ITEM_TOPIC_ARN are the same topic"
    worker.wait_for("worker started")
    assert worker.end(signal.SIGTERM) == (0, "")


@pytest.mark.usefixtures("environment")
def test_row_5_a_document_under_an_object_id_beside_texts_is_warned_of(mongod: Mongod, started: list[Worker]) -> None:
    client: MongoClient[dict[str, Any]] = MongoClient(mongod.uri)
    with client:
        stray = client["strays"]["queues"].insert_one({"key": "k"}).inserted_id
        client["strays"]["queues"].insert_one({"_id": "q-1"})
        client["strays"]["work_items"].insert_one({"_id": "w-1", "conversationId": "c-1", "active": 1})
    worker = Worker(MONGODB_URI=mongod.uri, MONGODB_DATABASE="strays")
    started.append(worker)
    warning = worker.wait_for("a document whose _id is no text, which no event can name: store it under the id as text")
    assert (warning["collection"], warning["id"]) == ("queues", f"the ObjectId {stray}")
    foreign = worker.wait_for(
        "documents that the worker does not find, as a field has another type: store the right one"
    )
    assert (foreign["collection"], foreign["field"], foreign["count"]) == ("work_items", "active", 1)
    worker.wait_for("worker started")
    assert worker.end(signal.SIGTERM) == (0, "")


@pytest.mark.usefixtures("environment")
def test_a_worker_that_starts_later_finds_the_start_of_the_deployment(mongod: Mongod, started: list[Worker]) -> None:
    client: MongoClient[dict[str, Any]] = MongoClient(mongod.uri, tz_aware=True)
    with client:
        before = datetime.now(UTC) - timedelta(minutes=1)

        def start_of_deployment() -> object:
            document = client["start"]["fleet"].find_one({"_id": "start"})
            assert document is not None
            return document["at"]

        started.append(Worker(MONGODB_URI=mongod.uri, MONGODB_DATABASE="start"))
        started[-1].wait_for("worker started")
        at = start_of_deployment()
        assert isinstance(at, datetime)
        assert before < at < datetime.now(UTC) + timedelta(minutes=1)
        started.append(Worker(MONGODB_URI=mongod.uri, MONGODB_DATABASE="start"))
        started[-1].wait_for("worker started")
        assert start_of_deployment() == at
        started.append(Worker(MONGODB_URI=mongod.uri, MONGODB_DATABASE="start", DD_VERSION="2.0"))
        assert started[-1].wait_for("deployment changed")["title"] == "Deployed: version 2.0"
        for worker in started:
            assert worker.end(signal.SIGTERM) == (0, "")


@pytest.mark.parametrize("collection", ["conversations", "queues"])
@pytest.mark.usefixtures("environment", "logging_as_it_was")
def test_row_5_ids_that_mongodb_made_are_one_line_and_exit_1(
    mongod: Mongod, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], collection: str
) -> None:
    client: MongoClient[dict[str, Any]] = MongoClient(mongod.uri)
    with client:
        made = client[f"ids_{collection}"][collection].insert_one({"type": "conversation"}).inserted_id
    monkeypatch.setenv("MONGODB_URI", mongod.uri)
    monkeypatch.setenv("MONGODB_DATABASE", f"ids_{collection}")
    assert run(["run"]) == 1
    out, errors = capfd.readouterr()
    (line,) = errors.splitlines()
    assert line.startswith(
        f"routing-sync run: {collection} holds documents whose _id is no text (the ObjectId {made}), "
    )
    assert json.loads(out.splitlines()[-1])["msg"] == "cannot start"


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ("SQS_QUEUE_URL=$AWS_ENDPOINT_URL/123456789012/none", "SQS_QUEUE_URL http.*/none: QueueDoesNotExist"),
        ("SQS_QUEUE_URL=$SQS_DEAD_LETTER_QUEUE_URL", "SQS_QUEUE_URL: the queue http.* has no redrive policy"),
        ("SNS_WORK_ITEM_TOPIC_ARN=${SNS_WORK_ITEM_TOPIC_ARN}-none", "SNS_WORK_ITEM_TOPIC_ARN: there is no topic arn"),
        ("MONGODB_URI=mongodb://user:hunter2@[broken", "MONGODB_URI: it cannot be read"),
        # Row 14: what no waiting ends.
        (
            "MONGODB_URI=mongodb://user:hunter2@127.0.0.1:$MONGODB_PORT/?replicaSet=rs0",
            "MONGODB_URI: .* Authentication",
        ),
        (
            "MONGODB_URI=mongodb://127.0.0.1:$MONGODB_PORT/?replicaSet=other",
            "MONGODB_URI: no server is a member of its",
        ),
        (
            "SYNC_GAP_SECONDS=30",
            r"SYNC_GAP_SECONDS 30: it must be more than the queue's visibility timeout \(30 s\)",
        ),
        ("AWS_PROFILE=none", r"AWS's configuration: The config profile \(none\) could not be found: check AWS_PROFILE"),
        ("HTTP_HOST=203.0.113.1", "HTTP_HOST 203.0.113.1, HTTP_PORT 0: "),
    ],
)
@pytest.mark.usefixtures("environment", "logging_as_it_was")
def test_a_setup_error_is_one_line_and_exit_1(
    mongod: Mongod, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], wrong: str, expected: str
) -> None:
    monkeypatch.setenv("MONGODB_URI", mongod.uri)
    monkeypatch.setenv("MONGODB_PORT", str(mongod.port))
    name, _, value = wrong.partition("=")
    monkeypatch.setenv(name, os.path.expandvars(value))
    assert run(["run"]) == 1
    out, errors = capfd.readouterr()
    (line,) = errors.splitlines()
    assert re.match(f"routing-sync run: {expected}", line)
    assert json.loads(out.splitlines()[-1])["msg"] == "cannot start"
    assert "hunter2" not in out + errors


@pytest.mark.usefixtures("environment", "logging_as_it_was")
def test_a_policy_without_its_engine_is_one_line_with_the_remedy_and_exit_2(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MONGODB_URI", "mongodb://127.0.0.1:1")
    monkeypatch.setenv("SYNC_POLICY", "causal")
    monkeypatch.setenv("COMMAND_ENGINE", "legacy")
    assert run(["run"]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("routing-sync run: SYNC_POLICY: causal needs the composed engine: set COMMAND_ENGINE to")


def test_a_second_signal_exits_at_once() -> None:
    script = """
import asyncio, sys
from worker.runtime.clock import SystemClock
from worker.telemetry.logs import LogIdentity, open_log
from worker.runtime.shutdown_signal import ShutdownSignal

async def main():
    log = open_log(level="info", identity=LogIdentity(), clock=SystemClock())
    stopping = ShutdownSignal(log, before_exit=lambda: print("before exit", flush=True))
    stopping.install_handlers()
    print("listening", flush=True)
    await stopping.wait_until_requested()
    print("stop requested", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "listening\n"
    process.send_signal(signal.SIGINT)
    while process.stdout.readline() != "stop requested\n":
        pass
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=10)
    assert process.returncode == 128 + signal.SIGTERM
    assert out.splitlines()[-1] == "before exit"
