"""LocalStack without Docker: SNS and SQS on 127.0.0.1, from the packages in `.venv-localstack`.

LocalStack has an environment of its own (`make localstack-setup`), because its dependencies are pinned apart from the
project's. Run it by hand with `python localstack/localstack_server.py [--port N]`; in tests and scripts:

    with LocalStack() as localstack:
        settings = localstack.environment

Queues and topics are kept in memory: `kill` and `stop` lose them.
"""

import argparse
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

from server_process import ROOT, ServerError, ServerProcess, run_until_interrupted

REGION = "us-east-1"


def aws_environment(endpoint: str) -> dict[str, str]:
    """The variables that point an AWS client at a local endpoint."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }


def find_python() -> Path:
    """The interpreter of LocalStack's environment or `LOCALSTACK_PYTHON`; `ServerError` where it is missing."""
    python = Path(os.environ.get("LOCALSTACK_PYTHON", ROOT / ".venv-localstack" / "bin" / "python"))
    if not python.exists():
        raise ServerError("LocalStack is not installed: run `make localstack-setup`")
    return python


class LocalStack(ServerProcess):
    """A LocalStack process with SNS and SQS only."""

    name = "LocalStack"

    @property
    def endpoint(self) -> str:
        """The URL of every service."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """The variables that an AWS client needs to use it."""
        return aws_environment(self.endpoint)

    def _command(self) -> Sequence[str]:
        # -P: Python must not take the folder `localstack` of this project for the package.
        return [str(find_python()), "-P", "-m", "localstack.runtime.main"]

    def _environment(self) -> Mapping[str, str]:
        return {
            "SERVICES": "sqs,sns",
            "GATEWAY_LISTEN": f"127.0.0.1:{self.port}",
            # Queue URLs with an address: no DNS server is needed.
            "LOCALSTACK_HOST": f"127.0.0.1:{self.port}",
            "SQS_ENDPOINT_STRATEGY": "path",
            "LOCALSTACK_VOLUME_DIR": str(self.data / "volume"),
            "FILESYSTEM_ROOT": str(self.data / "root"),
            "TMPDIR": str(self.data),
            # LocalStack downloads nothing, reports nothing and starts no DNS server.
            "SKIP_SSL_CERT_DOWNLOAD": "1",
            "DISABLE_EVENTS": "1",
            "DNS_ADDRESS": "0",
            "PYTHONPATH": "",
            "PYTHONWARNINGS": "ignore",
        }

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.endpoint}/_localstack/health", timeout=2) as response:  # noqa: S310 - ours
                return bool(response.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def _explain(self, output: str) -> str | None:
        if "ModuleNotFoundError" in output or "ImportError" in output:
            return "LocalStack's environment is incomplete: remove .venv-localstack and run `make localstack-setup`"
        return None


def main() -> int:
    """Serve until Ctrl-C; returns the exit status."""
    parser = argparse.ArgumentParser(description="LocalStack's SNS and SQS on 127.0.0.1")
    parser.add_argument("--port", type=int, default=4566)
    server = LocalStack(port=parser.parse_args().port)
    return run_until_interrupted(server, server.endpoint)


if __name__ == "__main__":
    sys.exit(main())
