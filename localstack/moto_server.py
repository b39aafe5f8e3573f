"""moto's server as a process of its own: SNS and SQS for the quick suite and the demo.

It starts in about a second and handles some thirty messages a second: for behaviour, not for load. Run it by hand with
`python localstack/moto_server.py [--port N]`; in tests and scripts:

    with MotoServer() as moto:
        moto.reset()

Queues and topics are kept in memory: `kill` and `stop` lose them.
"""

import argparse
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence

from localstack_server import aws_environment
from server_process import ServerProcess, run_until_interrupted


class MotoServer(ServerProcess):
    """A moto server process."""

    name = "moto"

    @property
    def endpoint(self) -> str:
        """The URL of every service."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """The variables that an AWS client needs to use it."""
        return aws_environment(self.endpoint)

    def reset(self) -> None:
        """Remove every queue and topic."""
        request = urllib.request.Request(f"{self.endpoint}/moto-api/reset", method="POST")  # noqa: S310 - ours
        with urllib.request.urlopen(request, timeout=10):  # noqa: S310 - ours
            pass

    def _command(self) -> Sequence[str]:
        return [sys.executable, "-P", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]

    def _environment(self) -> Mapping[str, str]:
        # moto must not use an endpoint or a profile of this machine.
        return {"AWS_ENDPOINT_URL": "", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.endpoint}/moto-api/data.json", timeout=2) as response:  # noqa: S310 - ours
                return bool(response.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def _explain(self, output: str) -> str | None:
        if "No module named" in output:
            return "moto is not installed here: run `make setup`"
        return None


def main() -> int:
    """Serve until Ctrl-C; returns the exit status."""
    parser = argparse.ArgumentParser(description="moto's SNS and SQS on 127.0.0.1")
    parser.add_argument("--port", type=int, default=4566)
    server = MotoServer(port=parser.parse_args().port)
    return run_until_interrupted(server, server.endpoint)


if __name__ == "__main__":
    sys.exit(main())
