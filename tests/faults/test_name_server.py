"""The name server of a `mongodb+srv://` host is silent while the workers start, and answers later."""

from collections.abc import Callable, Mapping
from pathlib import Path

import dns.asyncresolver

from mongod import Mongod
from tests.e2e.worker_process import WorkerProcess, wait_until
from tests.faults.fault_run import FaultRun
from tests.faults.services.forked_worker import ForkedWorker, run_worker
from tests.faults.test_mongodb import unready
from tests.worker.stand_ins.name_server import HOST, name_server, resolver_at

NAME_SERVER_PORT = "NAME_SERVER_PORT"


def _run_worker(environment: Mapping[str, str], log: Path) -> None:
    setattr(dns.asyncresolver, "default_resolver", resolver_at(int(environment[NAME_SERVER_PORT])))  # noqa: B010 - its type is None
    run_worker(environment, log)


class _ResolvingWorker(ForkedWorker):
    """A worker that asks the test's name server."""

    def target(self) -> Callable[[Mapping[str, str], Path], None]:
        return _run_worker


def _waits(worker: WorkerProcess) -> None:
    """Wait until the worker is not ready, and says in `/readyz` and in the log what the driver said."""
    wait_until(
        lambda: "The driver says: The resolution lifetime expired" in unready(worker),
        within_s=60,
        what=lambda: "the worker says what it waits for",
    )
    assert worker.says("not there yet, waiting for it")


def test_row_14_name_server_is_silent_at_the_start(run: FaultRun, mongod: Mongod) -> None:
    with name_server() as dns_server:
        dns_server.mongodb_port = mongod.port
        run.stage.kind = _ResolvingWorker
        variables = {
            "MONGODB_URI": f"mongodb+srv://{HOST}/?tls=false&replicaSet=rs0",
            NAME_SERVER_PORT: str(dns_server.port),
            "STORE_DEADLINE_SECONDS": "2",
            "CALL_RETRY_MAX_SECONDS": "1",
        }
        workers = [run.stage.worker(**variables) for _ in range(2)]
        for worker in workers:
            _waits(worker)
        stopped = run.stage.worker(**variables)
        _waits(stopped)
        status, took_s = stopped.terminate()
        assert (status, took_s < 5) == (0, True)
        run.load.wait_published(200, within_s=60)
        asked = dns_server.asked
        wait_until(lambda: dns_server.asked > asked, within_s=30, what=lambda: "the workers ask again")
        dns_server.silent = False
        for worker in workers:
            worker.wait_ready()
        run.finish()
