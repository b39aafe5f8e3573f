"""The on-call engineer of the ten questions: a shell on a running system, and what goes on there meanwhile."""

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from commands.instant import format_instant
from handlers.documents.document_mapping import work_item_of
from handlers.documents.relationships import relationship
from server_process import ROOT
from tests.docs.runbook import questions
from tests.e2e.outside import Data, Outside, conversation_data, queues, sessions, work_item_data
from tests.e2e.stage import Stage
from tests.e2e.worker_process import WorkerProcess, wait_until
from tests.handlers.wire_events import changes, event, published

TOOLS: Final = Path(sys.executable).parent
"""Where `routing-sync` and `kubectl` are."""
GAP_S: Final = 31
"""Above the visibility timeout: the doctor warns of the suite's own, so these tests set 30 s."""


class ShellOutput(Struct, frozen=True, kw_only=True):
    """What a command printed, and its exit status."""

    status: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


class OnCall(Struct, frozen=True, kw_only=True):
    """The on-call engineer's shell: the worker's settings, its log as `worker.log`, and `deploy/` in the folder."""

    stage: Stage
    worker: WorkerProcess

    def ask(self, question: str, *more: str, **names: str) -> tuple[ShellOutput, ...]:
        """The answers to the question's commands, each with `more` after it; `names` are put in the place of words in
        capitals."""
        return tuple(self.run(" ".join([command, *more]), **names) for command in questions()[question])

    def run(self, command: str, **names: str) -> ShellOutput:
        for name, value in names.items():
            command, times = re.subn(rf"\b{name}\b", value, command)
            assert times, f"{name} is not in {command}"
        log = self.stage.folder / "worker.log"
        log.write_text("".join(worker.log.read_text() for worker in self.stage.workers))
        environment = {**os.environ, **self.stage.variables, "HTTP_PORT": str(self.worker.http_port)}
        environment["PATH"] = f"{TOOLS}{os.pathsep}{environment['PATH']}"
        # A person's shell has no pipefail either.
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.stage.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        return ShellOutput(status=done.returncode, out=done.stdout, err=done.stderr)


def on_call_of(stage: Stage, **variables: str) -> OnCall:
    (stage.folder / "deploy").symlink_to(ROOT / "deploy")
    url = stage.variables["SQS_QUEUE_URL"]
    stage.sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "30"})
    stage.database["work_sessions"].insert_many(sessions())
    stage.database["queues"].insert_many(queues())
    stage.variables |= {"SYNC_GAP_SECONDS": str(GAP_S), "HEARTBEAT_SECONDS": "5", **variables}
    worker = stage.worker(SWEEP_INTERVAL_SECONDS="0", DD_VERSION="1.4.0")
    worker.wait_ready()
    return OnCall(stage=stage, worker=worker)


def wait_for_watermark(on_call: OnCall) -> None:
    """Wait until the store has the watermark of every live worker: by it the sweep knows what is in flight."""

    def workers() -> list[dict[str, Any]]:
        found = on_call.stage.database["fleet"].find_one({"_id": "watermarks"}) or {}
        return [each for each in found.get("workers", []) if each["until"] > datetime.now(UTC)]

    def known() -> bool:
        return bool(workers()) and all(each["at"] is not None for each in workers())

    wait_until(known, within_s=240, what=lambda: f"the workers have a watermark: {workers()}")


def _an_hour_ago(data: Data) -> Data:
    at = format_instant(datetime.now(UTC) - timedelta(hours=1))
    return {**data, "attributes": {**data["attributes"], "updatedAt": at}}


def announce_queued_pairs(on_call: OnCall, numbers: Sequence[int]) -> None:
    """Pairs in step, in a queue, written an hour ago."""
    outside = Outside(15)
    queue = {"queue": relationship("queue", "queue-1")}
    for number in numbers:
        conversation, item = _an_hour_ago(conversation_data(number)), _an_hour_ago(work_item_data(number))
        conversation = {**conversation, "relationships": queue}
        item["attributes"] |= {"status": "queued", "queuedCount": 1}
        item = {**item, "relationships": {**item["relationships"], **queue}}
        on_call.stage.publish(
            [
                outside.message("kustomer.conversation.create", conversation, None),
                outside.message("kustomer.work-item.create", item, None),
            ]
        )
    # SNS delivers the events of two topics in any order.
    ids = [f"{kind}-{number}" for kind in ("conversation", "work-item") for number in numbers]
    collections = [on_call.stage.database[name] for name in ("conversations", "work_items")]

    def stored() -> int:
        return sum(each.count_documents({"_id": {"$in": ids}}) for each in collections)

    wait_until(lambda: stored() == len(ids), within_s=60, what=lambda: f"all pairs are stored: {stored()}")


def wait_for_agent(on_call: OnCall, number: int, agent: str | None) -> None:
    """Wait until the work-item has this agent."""

    def assigned() -> str | None:
        item = on_call.stage.database["work_items"].find_one({"_id": f"work-item-{number}"})
        return "no work-item" if item is None else work_item_of(item).assigned_to

    wait_until(lambda: assigned() == agent, within_s=60, what=lambda: f"{assigned()} has work-item-{number}")


def conversation_update(number: int, rev: int, before: list[str], after: list[str], client: str) -> dict[str, Any]:
    data = conversation_data(number)
    data["attributes"] |= {"rev": rev, "outsideRev": rev, "assignedUsers": after}
    data = _an_hour_ago({**data, "relationships": {"queue": relationship("queue", "queue-1")}})
    changed = changes({"assignedUsers": (before, after), "rev": (rev - 1, rev)})
    return published(event(data, "update", client=client, changes=changed))
