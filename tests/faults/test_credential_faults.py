"""Row 6 under load: credentials expire, and their renewal fails for a while.

One worker has the keys of a container platform's agent, the other those that STS gives for an identity token. Keys last
for two seconds above the minute within which the worker does not use them any more.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.worker_process import WorkerProcess, wait_until
from tests.faults.fault_run import FaultRun
from tests.faults.proxied_run import finish
from tests.faults.proxies.aws_proxy import AwsProxy
from tests.worker.aws.stand_ins.credential_services import CredentialServices

NO_KEYS = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_SESSION_TOKEN": ""}
FAILURES = ((400, "InvalidIdentityToken"), (400, "IDPCommunicationError"), (500, "InternalFailure"))


@pytest.fixture
def services() -> Iterator[CredentialServices]:
    with CredentialServices() as servers:
        servers.valid_s = 62
        yield servers


def _without_credentials(worker: WorkerProcess) -> bool:
    status, answer = worker.http("/readyz")
    return status == 503 and "no AWS credentials" in str(answer)


def test_credentials_expire_and_their_renewal_fails(
    run: FaultRun, proxy: AwsProxy, services: CredentialServices, tmp_path: Path
) -> None:
    token_file = tmp_path / "token"
    token_file.write_text("an-identity-token")
    web_identity = {**NO_KEYS, **services.web_identity(str(token_file))}
    workers = [
        *run.workers(1, SQS_TRANSPORT="http", SNS_TRANSPORT="http", **NO_KEYS, **services.container),
        *run.workers(1, SQS_TRANSPORT="library", SNS_TRANSPORT="library", **web_identity),
    ]
    for failing in FAILURES:
        published = run.load.published
        run.load.wait_published(published + 40, within_s=60)
        services.failing = failing
        for worker in workers:
            wait_until(lambda worker=worker: _without_credentials(worker), within_s=60, what=lambda: "not ready")  # type: ignore[misc]
            assert worker.http("/healthz")[0] == 200
        services.failing = None
        for worker in workers:
            worker.wait_ready()
    # A pod that starts before its token is mounted waits for it.
    token_file.unlink()
    late = run.stage.worker(**web_identity)
    wait_until(
        lambda: late.log.exists() and late.says("not there yet, waiting for it"),
        within_s=60,
        what=lambda: "the worker waits",
    )
    wait_until(lambda: _without_credentials(workers[1]), within_s=60, what=lambda: "the file is read at each renewal")
    token_file.write_text("another-identity-token")
    for worker in (late, workers[1]):
        worker.wait_ready()
    asked = services.asked
    wait_until(lambda: services.asked > asked + 3, within_s=60, what=lambda: "the keys are renewed again")
    finish(run, proxy)
    run.notes["keys given"] = str(services.asked)
