"""An outage of five minutes under load, with the gap of production: no update is lost, whatever order the backlog has.

Outside services go on writing, minutes apart. The gap poll takes part: a few events are lost for good, and the poll
must close those gaps and no other. Every pair is compared with an independent count (`expected_ends.py`).
"""

import os
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from random import Random
from typing import Final

import pytest

from localstack_server import LocalStack
from mongod import Mongod
from tests.e2e.stage import Stage
from tests.e2e.worker_process import wait_until
from tests.faults.expected_ends import differences, possible_ends, values_of
from tests.faults.fault_run import FaultRun
from tests.faults.load.slow_stories import SlowStories, StoryTimes
from tests.faults.proxied_run import set_visibility
from tests.faults.proxies.aws_fault import SNS_UNAVAILABLE
from tests.faults.proxies.aws_proxy import AwsProxy
from tests.faults.proxies.aws_record import rightly_redelivered
from tests.faults.proxies.mongo_proxy import MongoProxy
from tests.releases.worker_at_commit import worker_at
from worker.telemetry.metrics import Metric

OUTAGE_S = float(os.environ.get("FAULT_OUTAGE_SECONDS", "300"))
GAP_S = 60 if OUTAGE_S >= 300 else 30
VISIBILITY_S = 2 * GAP_S // 3
WARM_S = 0.15 * OUTAGE_S
SPREAD_S: Final = 25 if OUTAGE_S >= 300 else 8
"""The backlog comes in random order within this time, which is less than the visibility timeout and the gap."""
PAIRS = int(os.environ.get("FAULT_OUTAGE_PAIRS", "300"))
TIMES = StoryTimes(begin_s=0.8 * (WARM_S + OUTAGE_S), pause_s=(0.2 * OUTAGE_S, 0.6 * OUTAGE_S))
WAITS_S_MAX = 240
RunOn = Callable[..., FaultRun]

pytestmark = pytest.mark.outage


@pytest.fixture
def outage_run(run_on: RunOn, mongod: Mongod, tmp_path: Path) -> FaultRun:
    """A run of slow stories, with the gap of production. `FAULT_WORKERS_AT` names the commit of other workers."""
    run = run_on(mongod.uri, services=partial(SlowStories, pairs=PAIRS, times=TIMES))
    run.stage.variables |= {"SYNC_GAP_SECONDS": str(GAP_S)}
    set_visibility(run, VISIBILITY_S)
    commit = os.environ.get("FAULT_WORKERS_AT")
    if commit:
        run.stage.kind = worker_at(commit, tmp_path / "commit")
    return run


def test_outage_of_the_workers(outage_run: FaultRun) -> None:
    """All workers are killed. New ones start into a backlog, which comes in random order."""
    run = outage_run
    workers = run.workers(2)
    time.sleep(WARM_S)
    for worker in workers:
        worker.kill()
        run.kills += 1
    run.report("the workers are away")
    time.sleep(OUTAGE_S)
    backlog = run.stage.depth()
    _shuffle_backlog(run.stage, run.random)
    run.workers(2)
    _finish(run, backlog)


def test_outage_of_sns(outage_run: FaultRun, localstack: LocalStack) -> None:
    """SNS holds every event, the heartbeat included, and delivers them all in random order: SQS calls them new."""
    run = outage_run
    run.load.delivery.release_s = SPREAD_S
    with AwsProxy(localstack.endpoint, seed=run.seed) as proxy:
        run.workers(2, AWS_ENDPOINT_URL_SNS=proxy.url, CALL_RETRY_MAX_SECONDS="1")
        time.sleep(WARM_S)
        run.load.delivery.held = True
        with proxy.failing(SNS_UNAVAILABLE):
            run.report("SNS is away")
            time.sleep(OUTAGE_S)
            backlog = run.load.delivery.held_events
        run.load.delivery.held = False
        _finish(run, backlog)


def test_outage_of_mongodb_for_one_of_two_workers(outage_run: FaultRun, mongod: Mongod, localstack: LocalStack) -> None:
    """One worker cannot reach MongoDB, and must not hide messages until the other's poll gives them up."""
    run = outage_run
    with ExitStack() as stack:
        store = stack.enter_context(MongoProxy(mongod.port, Random(run.seed)))
        queue = stack.enter_context(AwsProxy(localstack.endpoint, seed=run.seed))
        run.workers(1, AWS_ENDPOINT_URL_SQS=queue.url)
        run.workers(1, AWS_ENDPOINT_URL_SQS=queue.url, MONGODB_URI=store.uri)
        time.sleep(WARM_S)
        with store.away():
            run.report("MongoDB is away for one worker")
            time.sleep(OUTAGE_S)
            backlog = run.stage.depth()
        _finish(run, backlog, queue)
    assert run.pauses > 0


def _shuffle_backlog(stage: Stage, chance: Random) -> None:
    """Makes every message in the queue visible at a random time within `SPREAD_S`. SQS keeps their `SentTimestamp`."""
    url = stage.variables["SQS_QUEUE_URL"]
    receipts: list[str] = []
    asked = {"QueueUrl": url, "MaxNumberOfMessages": 10, "VisibilityTimeout": 300, "WaitTimeSeconds": 0}
    while answer := stage.sqs.receive_message(**asked).get("Messages"):
        receipts.extend(message["ReceiptHandle"] for message in answer)
    for start in range(0, len(receipts), 10):
        entries = [
            {"Id": str(number), "ReceiptHandle": receipt, "VisibilityTimeout": chance.randrange(SPREAD_S)}
            for number, receipt in enumerate(receipts[start : start + 10])
        ]
        assert not stage.sqs.change_message_visibility_batch(QueueUrl=url, Entries=entries).get("Failed")


def _finish(run: FaultRun, backlog: int, proxy: AwsProxy | None = None) -> None:
    """The load goes on for a while, and ends. Once nothing waits, the run is audited and the pairs are counted."""
    ended_at = time.monotonic()
    run.report(f"the outage ends, a backlog of {backlog}, {_waiting(run.stage)} pairs wait")
    time.sleep(SPREAD_S + WARM_S / 3)
    run.load.stop()
    run.stage.wait_drained(within_s=180)
    run.notes["events"] = str(run.load.services.writes)
    run.notes["backlog"] = f"{backlog}, drained {time.monotonic() - ended_at:.0f} s after the outage"
    run.report(f"drained, {_waiting(run.stage)} pairs wait")
    run.notes["waited for the poll"] = str(_waiting(run.stage))
    wait_until(
        lambda: _waiting(run.stage) == 0, within_s=WAITS_S_MAX, what=lambda: f"{_waiting(run.stage)} pairs still wait"
    )
    run.report("no pair waits")
    run.notes["most waiting"] = f"{run.metrics.maxima.get(Metric.WAITING.value, 0):.0f}"
    run.notes["longest wait"] = f"{run.metrics.maxima.get(Metric.WAITING_OLDEST.value, 0):.0f} s"
    run.notes["closed by the poll"] = str(run.metrics.count(Metric.GAP_CLOSED))
    wrong = _count(run)
    for each in wrong[:12]:
        run.report(each)
    run.finish(delete_may_have_failed=rightly_redelivered(proxy.calls) if proxy else frozenset())
    assert not wrong, f"{len(wrong)} pairs differ from the count"
    assert run.metrics.count(Metric.GAP_CLOSED) > 0, "the poll took no part"


def _waiting(stage: Stage) -> int:
    return stage.database["sync_states"].count_documents({"waitingSince": {"$type": "string"}})


def _count(run: FaultRun) -> list[str]:
    """Compares every pair with the independent count, and notes the figures."""
    services = run.load.services
    assert isinstance(services, SlowStories)
    conversations = {document["_id"]: document for document in run.stage.database["conversations"].find()}
    items = {document["_id"]: document for document in run.stage.database["work_items"].find()}
    wrong: list[str] = []
    figures: Counter[str] = Counter()
    for case in services.stories.values():
        found = list(differences(case.noted, conversations[case.key], items[case.item_key]))
        certain = all(len(possible_ends(case.noted, name)) == 1 for name in ("agent", "queue"))
        figures["equal"] += not found
        figures["of one end"] += certain
        figures["with a lost event"] += case.any_lost
        pair = values_of(conversations[case.key]), values_of(items[case.item_key])
        figures["closed apart"] += case.closed and any(pair[0][name] != pair[1][name] for name in ("agent", "queue"))
        if found:
            writes = [
                f"{write.side} {write.rev} {write.sets} knew {write.known_rev}{' lost' * write.lost}"
                for write in case.noted
            ]
            wrong.append("\n  ".join([f"{case.key}: {'; '.join(found)}", *writes]))
    run.notes["pairs"] = f"{figures['equal']} of {len(services.stories)} equal to the count"
    run.notes["of one possible end"] = str(figures["of one end"])
    run.notes["closed with another agent or queue"] = str(figures["closed apart"])
    run.notes["pairs with a lost event"] = str(figures["with a lost event"])
    run.report("; ".join(f"{name} {value}" for name, value in run.notes.items()))
    return wrong
