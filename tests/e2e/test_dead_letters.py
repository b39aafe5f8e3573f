"""Three hundred dead letters of five kinds: summed up, the good ones put back and handled once, the rest still there.

The good ones fail while no worker runs, so SQS moves them after `maxReceiveCount` deliveries. The worker itself
dead-letters the others.
"""

import json
import os
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from localstack_server import LocalStack
from mongod import Mongod
from tests.e2e.outside import ORG
from tests.e2e.stage import Stage, staged_on
from tests.e2e.worker_process import COMMAND, wait_until
from tests.handlers.wire_events import changes, conversation, event, published, text, work_item

GOOD, OF_EACH_KIND = 120, 45
LETTERS = GOOD + 4 * OF_EACH_KIND


@pytest.fixture
def stage(localstack: LocalStack, mongod: Mongod, tmp_path: Path) -> Iterator[Stage]:
    """SQS moves a message after its second delivery."""
    with staged_on(localstack.environment, mongod.uri, tmp_path, receive_count_max=2) as stage:
        yield stage


def _store_pairs(stage: Stage) -> None:
    """Each conversation with its work-item, unassigned, as their own services have stored them."""
    for number in range(GOOD):
        c, w = conversation(1, key=f"c-{number}"), work_item(1, key=f"w-{number}", of=f"c-{number}")
        del c["id"], w["id"]
        more = {"conversationId": f"c-{number}", "active": True, "workItemNumber": 1}
        stage.database["conversations"].insert_one({"_id": f"c-{number}", "org": ORG, "rev": 1, **c})
        stage.database["work_items"].insert_one({"_id": f"w-{number}", "org": ORG, "rev": 1, **more, **w})


def _good_message(number: int) -> dict[str, Any]:
    """An agent is assigned: the worker assigns the work-item, once."""
    assigned = changes({"assignedUsers": ([], ["u-1"]), "rev": (1, 2)})
    return published(event(conversation(2, key=f"c-{number}", users=("u-1",)), changes=assigned))


def _unreadable_bodies() -> list[str]:
    bodies: list[str] = []
    for number in range(OF_EACH_KIND):
        wrong_status = published(event(conversation(2, key=f"bad-{number}", status="shut")))
        wrong_rev = published(event(conversation(0, key=f"bad-{number}")))
        bodies += [f"no JSON {number}", text({"hello": number}), text(wrong_status), text(wrong_rev)]
    return bodies


def _fail_every_delivery(stage: Stage) -> None:
    """Receive and hand back until SQS has moved everything."""
    url = stage.variables["SQS_QUEUE_URL"]

    def moved() -> bool:
        stage.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0, WaitTimeSeconds=0)
        return stage.depth() == 0 and stage.depth(stage.variables["SQS_DEAD_LETTER_QUEUE_URL"]) == GOOD

    wait_until(moved, within_s=60, what=lambda: f"SQS moves the messages: {stage.depth()} are left")


def _verb(stage: Stage, *arguments: str) -> tuple[int, list[dict[str, Any]], str]:
    """The exit status, the objects of `--json` and standard error."""
    done = subprocess.run(
        [COMMAND, *arguments, "--json"],
        env={**os.environ, **stage.variables},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def _hidden(stage: Stage) -> int:
    name = "ApproximateNumberOfMessagesNotVisible"
    url = stage.variables["SQS_DEAD_LETTER_QUEUE_URL"]
    return int(stage.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[name])["Attributes"][name])


def _killed_redrive(stage: Stage) -> None:
    """Start a redrive, and kill it in the middle."""
    arguments = ["redrive", "--all", "--json", "--rate", "10"]
    with subprocess.Popen(
        [COMMAND, *arguments], env={**os.environ, **stage.variables}, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        put_back = 0
        while put_back < GOOD // 3:
            line = process.stdout.readline()
            assert line, "the redrive ended before it was killed"
            put_back += json.loads(line).get("end") == "put-back"
        process.kill()


def test_three_hundred_letters_of_five_kinds(stage: Stage) -> None:
    dead_url = stage.variables["SQS_DEAD_LETTER_QUEUE_URL"]
    _store_pairs(stage)
    stage.publish([_good_message(number) for number in range(GOOD)])
    _fail_every_delivery(stage)
    worker = stage.worker(SYNC_GAP_SECONDS="30")
    stage.send(_unreadable_bodies())
    wait_until(
        lambda: stage.depth(dead_url) == LETTERS, within_s=90, what=lambda: f"{stage.depth(dead_url)} dead letters"
    )

    status, (*groups, summary), errors = _verb(stage, "dead-letters")
    assert (status, errors) == (0, "")
    assert {(group["code"], group["count"], group["readable"]) for group in groups} == {
        ("NO_CODE", GOOD, True),
        *((code, OF_EACH_KIND, False) for code in ("NOT_JSON", "NOT_AN_EVENT", "INVALID_FIELD", "BAD_REVISION")),
    }
    assert groups[0]["reason"] == "SQS moved it after maxReceiveCount deliveries"
    assert (summary["summary"]["letters"], summary["summary"]["readable"]) == (LETTERS, GOOD)
    assert _hidden(stage) == 0

    _killed_redrive(stage)
    wait_until(lambda: _hidden(stage) == 0, within_s=90, what=lambda: f"{_hidden(stage)} letters are hidden")
    status, (*_, summary), errors = _verb(stage, "redrive", "--all")
    assert (status, errors) == (1, "")
    ends = summary["summary"]["ends"]
    assert (ends["unreadable"], ends["refused"], ends["not-deleted"]) == (4 * OF_EACH_KIND, 0, 0)
    # The kill leaves at most the letters of one call in both queues.
    assert 0 < ends["put-back"] <= GOOD - GOOD // 3 + 10

    def assigned() -> int:
        return stage.database["work_items"].count_documents({"relationships.assignedTo.data.id": "u-1"})

    wait_until(lambda: assigned() == GOOD, within_s=60, what=lambda: f"{assigned()} work-items are assigned")
    stage.wait_drained(within_s=60)
    assert stage.database["work_items"].count_documents({"rev": 2}) == GOOD
    written = Counter(
        line["conversationId"] for line in worker.audits() if line["outcome"] == "applied" and line["updatedWorkItem"]
    )
    assert (len(written), set(written.values())) == (GOOD, {1})
    assert worker.terminate()[0] == 0

    status, (*groups, summary), errors = _verb(stage, "dead-letters")
    assert {(group["code"], group["count"]) for group in groups} == {
        (code, OF_EACH_KIND) for code in ("NOT_JSON", "NOT_AN_EVENT", "INVALID_FIELD", "BAD_REVISION")
    }
    assert (status, summary["summary"]["letters"], errors) == (0, 4 * OF_EACH_KIND, "")
