"""Workers killed at random moments, and stopped by SIGTERM under load."""

import time

from tests.e2e.worker_process import WorkerProcess, wait_until
from tests.faults.fault_run import FaultRun
from worker.telemetry.metrics import Metric

SHUTDOWN_SECONDS = 6
MARGIN_S = 2.5
STOPS = 8


def test_no_fault(run: FaultRun) -> None:
    """Load and audit work without a fault."""
    run.workers(2)
    run.load.wait_published(500, within_s=90)
    assert run.finish().syncs > 0


def test_killed_at_random_moments(run: FaultRun, kills: int) -> None:
    """One of three workers is killed and replaced, many times. One kill in eight hits a worker that is starting."""
    workers = run.workers(3)
    working_kills = 0
    while run.kills < kills:
        if run.random.random() < 1 / 8:
            victim = run.stage.worker()
            time.sleep(run.random.random() * 2)
        else:
            wait_until(lambda: any(map(_handles_events, workers)), within_s=60, what=lambda: "a worker handles events")
            victim = run.random.choice([worker for worker in workers if _handles_events(worker)])
            workers[workers.index(victim)] = run.stage.worker()
            time.sleep(run.random.random() * 0.4)
        working_kills += _handles_events(victim)
        victim.kill()
        run.kills += 1
        if run.kills % 20 == 0:
            run.report(f"{run.kills} kills, {run.load.published} messages published")
    run.notes["killed at work"] = str(working_kills)
    assert working_kills > kills / 2
    assert run.finish(within_s=120).syncs > 0


def _handles_events(worker: WorkerProcess) -> bool:
    return b"CONVERSATION_SYNC_AUDIT" in worker.log.read_bytes()


def test_stopped_in_the_middle_of_its_work(run: FaultRun) -> None:
    """Visibility is 15 minutes: a message that is not handed back would not return within the run."""
    patient = {"VisibilityTimeout": "900"}
    run.stage.sqs.set_queue_attributes(QueueUrl=run.stage.variables["SQS_QUEUE_URL"], Attributes=patient)
    workers = run.workers(2, SHUTDOWN_SECONDS=str(SHUTDOWN_SECONDS))
    longest_s = 0.0
    for _ in range(STOPS):
        time.sleep(0.5 + run.random.random() * 1.5)
        victim = run.random.randrange(2)
        status, took_s = workers[victim].terminate()
        assert status == 0
        assert took_s < SHUTDOWN_SECONDS + MARGIN_S
        longest_s = max(longest_s, took_s)
        [workers[victim]] = run.workers(1, SHUTDOWN_SECONDS=str(SHUTDOWN_SECONDS))
    run.notes["longest stop"] = f"{longest_s:.1f} s"
    run.finish()
    run.notes["handed back"] = str(run.metrics.count(Metric.HANDED_BACK))


def test_an_idle_worker_stops_at_once(run: FaultRun) -> None:
    """SIGTERM during a long poll."""
    [worker] = run.workers(1)
    run.load.wait_published(100, within_s=60)
    run.load.stop()
    run.wait_quiet(within_s=60)
    status, took_s = worker.terminate()
    assert status == 0
    run.notes["stop"] = f"{took_s:.2f} s"
    assert took_s < 1.5
    run.finish()
