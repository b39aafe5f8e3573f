"""Workers killed at random moments: two at work, one of them killed, another one started, again and again."""

from tests.faults.fault_run import FaultRun


def test_nothing_happens(run: FaultRun) -> None:
    """The audit itself, and the load: no fault at all."""
    run.workers(2)
    run.load.wait_published(600, within_s=60)
    figures = run.finish()
    assert figures.syncs > 0
