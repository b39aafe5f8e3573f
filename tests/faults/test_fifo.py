"""FIFO topics and queue: where a message of a group fails, later messages of the group go back unhandled."""

import json
import time
from collections.abc import Callable
from typing import Any

from localstack_server import LocalStack
from mongod import Mongod
from tests.e2e.worker_process import wait_until
from tests.faults.fault_run import FaultRun
from tests.faults.proxies.aws_fault import AnswerWithError, FailEntries
from tests.faults.proxies.aws_proxy import AwsProxy
from tests.faults.proxies.aws_record import rightly_redelivered

GROUP = "unreadable"
REVISIONS = range(1, 9)


def test_nothing_overtakes_a_message_of_its_group_that_went_back(
    run_on: Callable[..., FaultRun], mongod: Mongod, localstack: LocalStack, seed: int
) -> None:
    run = run_on(mongod.uri, fifo=True)
    with AwsProxy(localstack.endpoint, seed=seed) as proxy:
        run.stage.variables |= {"AWS_ENDPOINT_URL_SQS": proxy.url, "AWS_ENDPOINT_URL_SNS": proxy.url}
        documents = run.stage.database["conversations"]
        documents.insert_one({"_id": GROUP, "org": "org", "rev": 99, "attributes": "none"})
        run.stage.publish([_conversation(rev) for rev in REVISIONS])
        run.workers(2, RETRY_FIRST_SECONDS="1", RETRY_MAX_SECONDS="2")
        # On a busy machine the workers start slowly.
        wait_until(lambda: bool(_lines(run)), within_s=90, what=lambda: "an event of the group is handled")
        with (
            proxy.failing(FailEntries(share=0.2), "DeleteMessageBatch"),
            proxy.failing(AnswerWithError(status=500, code="InternalError"), "DeleteMessageBatch", share=0.1),
        ):
            time.sleep(10)
        before = _lines(run)
        assert {line["outcome"] for line in before} == {"failed"}, "no event of the group can succeed yet"
        documents.delete_one({"_id": GROUP})
        run.load.stop()
        run.stage.wait_drained(within_s=120)
        run.finish(delete_may_have_failed=rightly_redelivered(proxy.calls))
    went_back = [line for worker in run.stage.workers for line in worker.lines() if line["msg"] == "message goes back"]
    assert "EARLIER_OF_GROUP_WENT_BACK" in {line["reason"] for line in went_back}
    done = [line["event"]["id"] for line in _lines(run) if line["outcome"] != "failed"]
    # In order, each first time. A message whose delete was not answered may be handled once more later.
    assert list(dict.fromkeys(done)) == [f"{GROUP}-{rev}" for rev in REVISIONS]


def _lines(run: FaultRun) -> list[dict[str, Any]]:
    """The audit lines of the group, in the order of their time."""
    lines = [line for worker in run.stage.workers for line in worker.audits()]
    return sorted((line for line in lines if line["conversationId"] == GROUP), key=lambda line: str(line["time"]))


def _conversation(rev: int) -> dict[str, Any]:
    attributes = {"status": "open", "assignedUsers": [], "ended": False, "rev": rev, "outsideRev": rev}
    data = {"id": GROUP, "type": "conversation", "attributes": attributes, "relationships": {}}
    name = "kustomer.conversation.create" if rev == 1 else "kustomer.conversation.update"
    changes = None if rev == 1 else {"attributes": {"preview": {"op": "replace", "before": "a", "after": "b"}}}
    event = {"id": f"{GROUP}-{rev}", "name": name, "org": "org", "data": data, "changes": changes, "isSync": False}
    event |= {"createdAt": "2026-01-05T09:00:00.000Z", "client": "api"}
    message = {"id": f"message-{GROUP}-{rev}", "name": name, "partition": "org", "body": event, "version": 3}
    loaded: dict[str, Any] = json.loads(json.dumps(message))
    return loaded
