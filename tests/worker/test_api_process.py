"""`routing-sync serve` as a process: start, an update, its event on the topic, signals, exit statuses."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import IO, Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from pymongo import MongoClient

from handlers.documents.document import document_from_snapshot
from mongod import Mongod
from moto_server import MotoServer
from tests.handlers.wire_events import ORG, conversation, work_item
from worker.cli.main import run
from worker.settings.table import setting_rows

pytestmark = pytest.mark.thorough

COMMAND = str(Path(sys.executable).parent / "routing-sync")
PATH = "/v1/routing/work-items/w-1"


class Served:
    """A serving process. A test waits for it by reading its log line by line."""

    def __init__(self, **environment: str) -> None:
        self.process = subprocess.Popen(
            [COMMAND, "serve"],
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

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Status and body of an answer."""
        port = next(line["apiPort"] for line in self.lines if line["msg"] == "API starting")
        data = None if body is None else json.dumps(body).encode()
        headers = {"content-type": "application/json"}
        request = Request(f"http://127.0.0.1:{port}{path}", data=data, headers=headers, method=method)
        try:
            with urlopen(request, timeout=30) as answer:
                return answer.status, json.load(answer)
        except HTTPError as refusal:
            with refusal:
                return refusal.code, json.load(refusal)

    def end(self, *signals: signal.Signals) -> tuple[int, str]:
        """Send the signals and wait; returns exit status and standard error."""
        for number in signals:
            self.process.send_signal(number)
        out, errors = self.process.communicate(timeout=30)
        self.lines += [json.loads(line) for line in out.splitlines()]
        return self.process.returncode, errors

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


@pytest.fixture(scope="module")
def made(moto: MotoServer) -> dict[str, str]:
    """The variables of `provision`: the topics that all tests of this file share."""
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(StringIO()) as out:
        for name, value in moto.environment.items():
            patch.setenv(name, value)
        assert run(["provision", "--json", "--prefix", "serve"]) == 0
    variables: dict[str, str] = json.loads(out.getvalue())
    return variables


@pytest.fixture
def environment(moto: MotoServer, made: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment variables of the API, without MONGODB_URI."""
    for row in setting_rows():
        monkeypatch.delenv(row.name, raising=False)
    variables = {**moto.environment, **made, "API_PORT": "0", "MONGODB_DATABASE": "serve"}
    # The API needs no queue.
    for name, value in variables.items():
        if not name.startswith("SQS_"):
            monkeypatch.setenv(name, value)


@pytest.fixture
def started() -> Iterator[list[Served]]:
    served: list[Served] = []
    yield served
    for each in served:
        each.close()


@pytest.fixture
def stored(mongod: Mongod) -> Iterator[Any]:
    """The database with a pair."""
    client: MongoClient[dict[str, Any]] = MongoClient(mongod.uri)
    with client:
        database = client["serve"]
        for name in ("conversations", "work_items", "sync_states", "outbox"):
            database[name].delete_many({})
        data = conversation(1, queue="q-1"), work_item(1, queue="q-1", status="queued", queuedCount=1)
        pair = [document_from_snapshot(each, org=ORG, rev=1) for each in data]
        database["conversations"].insert_one(pair[0])
        database["work_items"].insert_one(pair[1])
        yield database


@pytest.mark.usefixtures("environment")
def test_an_update_is_written_audited_and_published(mongod: Mongod, started: list[Served], stored: Any) -> None:
    served = Served(MONGODB_URI=mongod.uri, API_PROT="1")
    started.append(served)
    served.wait_for("API starting")
    mistyped = served.wait_for("unknown variable, mistyped?")
    assert (mistyped["variable"], mistyped["setting"]) == ("API_PROT", "API_PORT")
    served.wait_for("API started")
    assert served.ask("GET", "/readyz")[0] == 200
    status, answer = served.ask("PUT", PATH, {"assignedTo": "u-1", "rev": 1})
    assert (status, answer["data"]["attributes"]["rev"]) == (200, 2)
    assert stored["work_items"].find_one({"_id": "w-1"})["rev"] == 2
    audit = served.wait_for("CONVERSATION_SYNC_AUDIT")
    assert (audit["trigger"], audit["outcome"]) == ("api", "applied")
    assert served.ask("PUT", PATH, {"assignedTo": "u-1", "rev": 1})[0] == 409
    assert served.ask("GET", "/v1/routing/conversations/c-1/work-items")[1]["data"][0]["id"] == "w-1"
    assert served.ask("GET", "/v1/chat/queues/metrics/q-1") == (200, {"data": []})
    assert served.end(signal.SIGTERM) == (0, "")
    assert served.lines[-1]["msg"] == "API stopped"
    # The publisher published it before the process ended.
    assert stored["outbox"].count_documents({}) == 0


@pytest.mark.usefixtures("environment")
def test_while_mongodb_is_away_it_is_alive_and_not_ready(started: list[Served]) -> None:
    served = Served(MONGODB_URI="mongodb://127.0.0.1:9/?replicaSet=rs", STORE_DEADLINE_SECONDS="1")
    started.append(served)
    waiting = served.wait_for("not there yet, waiting for it")
    assert waiting["part"] == "store"
    assert served.ask("GET", "/healthz") == (200, {"status": "alive"})
    status, ready = served.ask("GET", "/readyz")
    assert (status, ready["checks"]["server"], ready["checks"]["store"]["ok"]) == (503, {"ok": True}, False)
    status, refused = served.ask("GET", PATH)
    assert (status, refused["errors"][0]["code"]) == (503, "STORE_AWAY")
    assert served.end(signal.SIGINT) == (0, "")


@pytest.mark.usefixtures("environment")
def test_settings_and_set_ups_that_cannot_work_end_it_with_a_line(mongod: Mongod, started: list[Served]) -> None:
    open_host = Served(MONGODB_URI=mongod.uri, API_HOST="0.0.0.0")
    status, errors = open_host.end()
    assert status == 2
    assert errors == (
        "routing-sync serve: API_HOST: '0.0.0.0' is not a loopback address, and API_TOKENS is not set: "
        "set API_TOKENS, or API_HOST to 127.0.0.1\n"
    )
    first = Served(MONGODB_URI=mongod.uri)
    started.append(first)
    port = first.wait_for("API starting")["apiPort"]
    status, errors = Served(MONGODB_URI=mongod.uri, API_PORT=str(port)).end()
    assert status == 1
    assert errors.startswith(f"routing-sync serve: API_HOST 127.0.0.1, API_PORT {port}: ")
    no_topic = Served(
        MONGODB_URI=mongod.uri, SNS_WORK_ITEM_TOPIC_ARN="arn:aws:sns:us-east-1:123456789012:work-item-gone"
    )
    status, errors = no_topic.end()
    assert status == 1
    assert errors.startswith("routing-sync serve: SNS_WORK_ITEM_TOPIC_ARN")
