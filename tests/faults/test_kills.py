"""Workers killed at random moments, and stopped in order in the middle of their work."""

import time

from tests.faults.fault_run import FaultRun

SHUTDOWN_SECONDS = 6
MARGIN_S = 2.5
STOPS = 8


def test_no_fault(run: FaultRun) -> None:
    """The load and the audit themselves."""
    run.workers(2)
    run.load.wait_published(500, within_s=90)
    assert run.finish().syncs > 0


def test_killed_at_random_moments(run: FaultRun, kills: int) -> None:
    """Two at work; one of them is killed and another one started, again and again: also while it starts."""
    workers = run.workers(2)
    while run.kills < kills:
        time.sleep(run.random.random() * 1.2)
        victim = run.random.randrange(2)
        workers[victim].kill()
        run.kills += 1
        workers[victim] = run.stage.worker()
        if run.kills % 20 == 0:
            run.say(f"{run.kills} kills, {run.load.published} messages published")
    assert run.finish(within_s=120).syncs > 0


def test_stopped_in_the_middle_of_its_work(run: FaultRun) -> None:
    """What is not handed back would not come again within the run."""
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
    figures = run.finish()
    assert figures.syncs > 0


def test_an_idle_worker_stops_at_once(run: FaultRun) -> None:
    """In the middle of a long poll."""
    [worker] = run.workers(1)
    run.load.wait_published(100, within_s=60)
    run.load.stop()
    run.wait_quiet(within_s=60)
    status, took_s = worker.terminate()
    assert status == 0
    run.notes["stop"] = f"{took_s:.2f} s"
    assert took_s < 1.5
    run.finish()
