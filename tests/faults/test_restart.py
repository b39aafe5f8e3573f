"""SQS and SNS restarted. LocalStack's free edition persists nothing, so queues and topics are provisioned again.

The messages in the queue are lost. The producers publish again, and the running workers go on without a restart.
"""

from localstack_server import LocalStack
from tests.e2e.worker_process import wait_until
from tests.faults.fault_run import FaultRun
from tests.faults.proxies.aws_proxy import AwsProxy
from tests.faults.proxies.aws_record import published, rightly_redelivered


def test_localstack_is_killed_and_its_queues_are_made_again(
    run: FaultRun, proxy: AwsProxy, localstack: LocalStack
) -> None:
    workers = run.workers(2)
    run.load.wait_published(200, within_s=60)
    # No more poison: the dead letters are lost with their queue, so the audit cannot compare them.
    run.load.delivery.poison_every = 1_000_000_000
    localstack.kill()
    wait_until(
        lambda: all(worker.http("/readyz")[0] == 503 for worker in workers),
        within_s=30,
        what=lambda: "the workers report that they are not ready",
    )
    localstack.start()
    run.stage.provision_again()
    run.load.delivery.poisoned.clear()
    run.load.delivery.publish_all_again = True
    for worker in workers:
        worker.wait_ready()
    run.load.wait_published(run.load.published + 200, within_s=60)
    run.load.stop()
    run.stage.wait_drained(within_s=90)
    assert all(worker.process.poll() is None for worker in workers)
    run.finish(
        delete_may_have_failed=rightly_redelivered(proxy.calls),
        # The queue of the subscriber is lost, so the proxy's record is the only list of published events.
        announced=published(proxy.calls),
    )
