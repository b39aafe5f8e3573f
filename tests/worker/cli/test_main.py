"""The start of the process: its stop signals before the imports, and standard streams that are closed."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

COMMAND = str(Path(sys.executable).parent / "routing-sync")
AWAY = {
    "SQS_QUEUE_URL": "http://127.0.0.1:1/123456789012/queue",
    "SNS_CONVERSATION_TOPIC_ARN": "arn:aws:sns:us-east-1:123456789012:conversations",
    "SNS_WORK_ITEM_TOPIC_ARN": "arn:aws:sns:us-east-1:123456789012:work-items",
    "MONGODB_URI": "mongodb://127.0.0.1:1",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
    "AWS_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "HTTP_PORT": "0",
}
"""Settings of a worker that waits for its services until it is stopped."""


@pytest.fixture(params=["a process", "the first process of a container"])
def starting(request: pytest.FixtureRequest) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A worker that has just been started, and the process id under which it is seen here."""
    inside: list[str] = []
    if request.param != "a process":
        inside = ["unshare", "--fork", "--pid", "--kill-child"]
        if shutil.which("unshare") is None or subprocess.run([*inside, "true"], check=False).returncode:
            pytest.skip("no process id namespace can be made here")
    with subprocess.Popen(
        [*inside, COMMAND, "run"], env={**os.environ, **AWAY}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        try:
            yield process, _child_of(process) if inside else process.pid
        finally:
            process.kill()


def _child_of(process: subprocess.Popen[bytes]) -> int:
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while not (found := children.read_text().split()):
        assert process.poll() is None
    return int(found[0])


def _handles(pid: int, number: signal.Signals) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught.split()[1], 16) >> (number - 1) & 1)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
def test_row_15_sigterm_during_the_imports_ends_the_worker_with_status_0(
    starting: tuple[subprocess.Popen[bytes], int],
) -> None:
    process, pid = starting
    while not _handles(pid, signal.SIGTERM):
        assert process.poll() is None
    loaded = Path(f"/proc/{pid}/maps").read_text()
    os.kill(pid, signal.SIGTERM)
    _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, b"")
    assert "pydantic_core" not in loaded, "the handler came after the imports"


def test_row_15_the_entry_imports_nothing_that_takes_long() -> None:
    script = "import sys; import worker.cli.main; print(*sorted({n.partition('.')[0] for n in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not {"asyncio", "pydantic", "pymongo", "structlog", "typer"} & set(done.stdout.split())


@pytest.mark.parametrize("closed", [(0,), (1,), (0, 1, 2)])
def test_row_1_a_closed_standard_stream_is_no_number_for_a_socket(closed: tuple[int, ...]) -> None:
    script = "import os, sys; from worker.cli.main import main; sys.argv = ['x', '--version']\n"
    script += f"for n in {closed}: os.close(n)\n"
    script += "try: main()\nexcept SystemExit: os._exit(0 if os.open('/dev/null', os.O_RDONLY) > 2 else 3)"
    assert subprocess.run([sys.executable, "-c", script], check=False, capture_output=True).returncode == 0
