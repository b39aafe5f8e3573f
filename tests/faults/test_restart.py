"""SQS and SNS restarted. LocalStack's free edition keeps nothing: queues and topics are gone until they are made again.

What was in the queue is lost with them. The producers publish again; workers that never stopped go on by themselves.
"""

from localstack_server import LocalStack
from tests.e2e.worker_process import wait_until
from tests.faults.fault_run import FaultRun
from tests.faults.proxies.aws_proxy import AwsProxy
from tests.faults.proxies.aws_record import handled_again, published


def test_localstack_is_killed_and_its_queues_are_made_again(
    run: FaultRun, proxy: AwsProxy, localstack: LocalStack
) -> None:
    workers = run.workers(2)
    run.load.wait_published(200, within_s=60)
    # Dead letters go down with their queue, so there is nothing to compare them with.
    run.load.delivery.poison_every = 1_000_000_000
    localstack.kill()
    wait_until(
        lambda: all(worker.http("/readyz")[0] == 503 for worker in workers),
        within_s=30,
        what=lambda: "the workers say that they are not ready",
    )
    localstack.start()
    run.stage.provision_again()
    run.load.delivery.poisoned.clear()
    run.load.delivery.again = True
    for worker in workers:
        worker.wait_ready()
    run.load.wait_published(run.load.published + 200, within_s=60)
    run.load.stop()
    run.stage.wait_drained(within_s=90)
    assert all(worker.process.poll() is None for worker in workers)
    run.finish(
        delete_may_have_failed=handled_again(proxy.calls),
        # Whoever listened has lost what came: what SNS took stands in the proxy's record alone.
        announced=published(proxy.calls),
    )
