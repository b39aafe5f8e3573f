"""`routing-sync explain` on a real MongoDB with a history that the worker made: its first line, forms and statuses."""

import asyncio
import gzip
import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from itertools import count
from pathlib import Path
from typing import Any, Final

import orjson
import pytest
from pydantic import SecretStr

from mongod import Mongod
from tests.worker.investigate.explain.stories import STORED, Played, by_a_person_in_the_app, by_the_router, over_http
from tests.worker.store.store_bench import DEADLINE_S
from worker.mongo.client import mongo_client
from worker.mongo.database import database_of
from worker.mongo.store import MongoStore
from worker.runtime.clock import ObjectIds, SystemClock
from worker.settings.table import setting_rows
from worker.store.documents import Collection

pytestmark = pytest.mark.thorough

_COMMAND: Final = (sys.executable, "-c", "from worker.cli.main import main; main()")
_INCIDENT: Final = Path(__file__).parents[3] / "fixtures/captured/incident-2022-03-02-lost-assignment"
_CONVERSATION, _WORK_ITEM = "621fc1d36a39b4aa389cb72b", "621fc1d5cb4ca800935aa935"
_numbers = count(1)
Story = Callable[[Played], Awaitable[None]]


class ExplainProcess:
    """The verb in a process of its own."""

    def __init__(self, uri: str | None, database: str, lines: list[Any]) -> None:
        self.database, self.lines = database, lines
        names = {row.name for row in setting_rows()}
        self._environment = {name: value for name, value in os.environ.items() if name not in names}
        self._environment |= {} if uri is None else {"MONGODB_URI": uri, "MONGODB_DATABASE": database}

    def run(self, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*_COMMAND, "explain", *arguments],
            env={**self._environment, **variables},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )


async def _play(uri: str, database: str, story: Story, *, keeps_audit: bool) -> list[Any]:
    async with mongo_client(SecretStr(uri), DEADLINE_S) as client:
        store = MongoStore(client, database, clock=SystemClock(), ids=ObjectIds(), deadline_s=DEADLINE_S)
        await store.ensure_indexes(revision_days=0, audit_days=3_650 if keeps_audit else 0)
        documents = database_of(client, database)
        for collection, document in zip((Collection.CONVERSATIONS, Collection.WORK_ITEMS), STORED, strict=True):
            await documents[collection].insert_one(dict(document))
        played = Played(store, keeps_audit=keeps_audit)
        await story(played)
        return played.lines


def a_past(mongod: Mongod, story: Story, *, keeps_audit: bool = True) -> ExplainProcess:
    database = f"test_explain_{next(_numbers)}"
    lines = asyncio.run(_play(mongod.uri, database, story, keeps_audit=keeps_audit))
    return ExplainProcess(mongod.uri, database, lines)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "worker.log"


@pytest.mark.parametrize(
    ("story", "begin", "end"),
    [
        (
            by_a_person_in_the_app,
            "agent u-1 was un-assigned from work-item w-1 at 2024-05-06T07:10:09.250Z by rule B3 (policy causal), ",
            "(kustomer.conversation.update, conversation 5 by client agent-app); written as work-item 8",
        ),
        (
            by_the_router,
            "agent u-1 was un-assigned from the conversation at 2024-05-06T07:10:09.250Z by rule A3 (policy causal), ",
            "(kustomer.work-item.update, work-item 8 by client router); written as conversation 5",
        ),
        (
            over_http,
            "agent u-1 was un-assigned from the conversation at 2024-05-06T07:10:10.250Z by rule A3 (policy causal), ",
            "; the API client crm had sent that update over HTTP",
        ),
    ],
    ids=["a person in the app", "the router", "over HTTP"],
)
def test_the_first_line_says_who_unassigned_it_and_why(mongod: Mongod, story: Story, begin: str, end: str) -> None:
    done = a_past(mongod, story).run("c-1")
    first, *rest = done.stdout.splitlines()
    assert first.startswith(begin), done.stderr
    assert first.endswith(end)
    assert "conversation c-1" in rest
    assert (done.returncode, done.stderr) == (0, "")


def test_json_markdown_and_a_time(mongod: Mongod) -> None:
    told = a_past(mongod, by_the_router)
    wire = json.loads(told.run("c-1", "--json").stdout)["explanation"]
    assert (wire["answer"]["kind"], wire["answer"]["rule"], wire["missing"]) == ("unassigned", "A3", [])
    assert [each["rev"] for each in wire["timeline"]["entries"]] == [4, 7, 8, 5]
    markdown = told.run("c-1", "--markdown").stdout
    assert markdown.startswith("**agent u-1 was un-assigned from the conversation at ")
    early = told.run("c-1", "--at", "2024-05-06T07:09:14Z", "--json")
    assert json.loads(early.stdout)["explanation"]["answer"]["kind"] == "assigned"


def test_without_a_kept_audit_it_says_so_and_the_log_answers(mongod: Mongod, log: Path) -> None:
    told = a_past(mongod, by_the_router, keeps_audit=False)
    done = told.run("c-1", AUDIT_DAYS="0")
    first, second, *_ = done.stdout.splitlines()
    assert first == "it is not known who changed conversation c-1 last, or why"
    assert second == "missing: AUDIT_DAYS is 0: no decision is kept: name the workers' log with --logs FILE"
    assert done.returncode == 1
    log.write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in told.lines))
    with_log = told.run("c-1", "--logs", str(log), AUDIT_DAYS="0")
    assert "by rule A3 (policy causal), because event event-w-1-8-update" in with_log.stdout.splitlines()[0]
    assert with_log.returncode == 0


def test_of_a_log_alone(log: Path, mongod: Mongod) -> None:
    told = a_past(mongod, over_http)
    log.write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in told.lines) + b"{broken\n")
    done = ExplainProcess(None, "none", []).run("c-1", "--logs", str(log))
    assert "the API client crm had sent that update over HTTP" in done.stdout.splitlines()[0]
    assert done.returncode == 1, "a value could not be read"
    assert str(log) in done.stderr
    away = ExplainProcess("mongodb://127.0.0.1:9/?directConnection=true", "none", []).run(
        "c-1", "--logs", str(log), STORE_DEADLINE_SECONDS="1"
    )
    first, second, *_ = away.stdout.splitlines()
    assert "the API client crm had sent that update over HTTP" in first
    assert second.startswith("missing: only the files were read: MongoDB cannot be reached")


def test_unknown_ids_and_wrong_usage(mongod: Mongod, log: Path) -> None:
    told = a_past(mongod, by_the_router)
    unknown = told.run("c-9")
    assert unknown.returncode == 1
    assert unknown.stderr == "routing-sync explain: nothing of conversation c-9 is in the store: check the id\n"
    assert unknown.stdout == ""
    for arguments, text in (
        (("c-1", "--at", "yesterday"), "--at yesterday is no time: write it as 2022-03-02T19:13:26Z"),
        (("c-1", "--json", "--markdown"), "set only one"),
        ((), "Missing argument"),
    ):
        done = told.run(*arguments)
        assert (done.returncode, text in done.stderr) == (2, True), done.stderr
    without = ExplainProcess(None, "none", []).run("c-1")
    assert without.returncode == 2
    assert without.stderr.startswith(
        "routing-sync explain: Invalid value: MONGODB_URI is not set, and no file is named: set it, or name files, "
        "as in `routing-sync explain c-1 events.ndjson`"
    )
    log.write_text("{}\n")
    forgotten = ExplainProcess(None, "none", []).run(str(log))
    assert forgotten.returncode == 2
    assert (
        f"{log} is a file: name the conversation's id before it, as in `routing-sync explain ID {log}`"
        in forgotten.stderr
    )
    log.unlink()
    missing = told.run("c-1", "--logs", str(log))
    assert missing.returncode == 1
    assert str(log) in missing.stderr


def test_many_files_as_a_shell_names_them() -> None:
    """`--logs a b`, `a b` and `--logs a --logs b` are one."""
    told, (events, audit) = ExplainProcess(None, "none", []), sorted(str(each) for each in _INCIDENT.glob("*.ndjson"))
    ways = (["--logs", audit, "--logs", events], ["--logs", audit, events], [audit, events])
    for arguments in ways:
        done = told.run(_CONVERSATION, *arguments)
        assert "which the write that it carried did not know (finding 1)" in done.stdout.splitlines()[0], done.stderr
        assert "4 revisions, 1 audit line" in done.stdout
        # The audit line is the latest of the capture, as for `timeline`.
        assert "queued: 352 ms to the end of the capture" in done.stdout


def test_an_id_that_the_logs_do_not_hold_names_those_that_they_hold(log: Path) -> None:
    told, events = ExplainProcess(None, "none", []), str(_INCIDENT / "events.ndjson")
    begin = "routing-sync explain: nothing of conversation "
    unknown = told.run("c-9", "--logs", events)
    assert unknown.stderr == f"{begin}c-9 is in the files: the files hold {_CONVERSATION}\n"
    item = told.run(_WORK_ITEM, "--logs", events)
    remedy = f"it is a work-item's id: its conversation is {_CONVERSATION}"
    assert item.stderr == f"{begin}{_WORK_ITEM} is in the files: {remedy}\n"
    line = {"msg": "CONVERSATION_SYNC_AUDIT", "outcome": "applied", "time": "2024-05-06T07:08:09Z"}
    log.write_bytes(b"".join(orjson.dumps({**line, "conversationId": f"c-1{n:02}"}) + b"\n" for n in range(20)))
    many = told.run("c-9", "--logs", str(log))
    assert many.stderr.endswith("c-108, c-109 and others, which `routing-sync timeline FILE` lists\n")
    assert [each.returncode for each in (unknown, item, many)] == [1, 1, 1]


def test_ids_and_times_as_people_paste_them(log: Path) -> None:
    told, events = ExplainProcess(None, "none", []), str(_INCIDENT / "events.ndjson")
    assert told.run(f" {_CONVERSATION}\n", "--logs", events).returncode == 0
    for odd, shown in (("c\n2", "c\\n2"), ("\u202ec", "\\u202ec"), ("c\x1b[31m", "c\\x1b[31m")):
        done = told.run(odd, "--logs", events)
        assert done.returncode == 1
        assert f"nothing of conversation {shown} is in the files" in done.stderr
        assert done.stderr.count("\n") == 1
    for arguments, text in (
        ((" ",), "CONVERSATION_ID is empty"),
        (("c" * 300,), "CONVERSATION_ID has 300 characters"),
        (("c-1", "--at", "2024-05-06T07:09:14"), "names no zone: write 2024-05-06T07:09:14Z for UTC"),
        (("c-1", "--at", "2024-05-06\u202e"), "--at 2024-05-06\\u202e is no time"),
    ):
        done = told.run(*arguments, "--logs", events)
        assert (done.returncode, text in done.stderr) == (2, True), done.stderr
    log.write_text("")
    assert "they hold no audit line and no event of a pair" in told.run("c-1", str(log)).stderr
    log.write_text("{broken")
    assert "what could be read of them holds no audit line" in told.run("c-1", str(log)).stderr


def test_logs_as_they_are_rotated_away(tmp_path: Path) -> None:
    told, packed = ExplainProcess(None, "none", []), tmp_path / "events.ndjson.gz"
    packed.write_bytes(gzip.compress((_INCIDENT / "events.ndjson").read_bytes()))
    done = told.run(_CONVERSATION, "--logs", str(packed))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("agent 61a6a83fdf1e2d21501a77c1 was un-assigned")
