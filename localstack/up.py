"""`make localstack`: SNS, SQS and MongoDB on this machine until Ctrl-C, provisioned, and an env file.

The file is for `make run` and `make serve`. Where a Docker engine answers, the servers are services of compose.yaml,
otherwise LocalStack from its packages and the embedded MongoDB.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import env_file
from localstack_server import LocalStack, aws_environment
from mongod import Mongod
from server_process import ROOT, ServerError, free_port, port_taken, stop_on_signals

ENV_FILE = ROOT / ".local" / "env"
_SHOWN = ".local/env"
_COMPOSE = ["docker", "compose", "--file", str(ROOT / "localstack" / "compose.yaml")]
SETTINGS: Mapping[str, str] = {"MONGODB_DATABASE": "routing_sync", "STATUS_SECONDS": "5", "WAITING_TIMES": "true"}
"""The settings of `make run` and `make serve`, besides where everything is: with them the status page has its parts."""
_AWS_PORT = 4566
_MONGODB_PORT = 27017


def docker_answers() -> bool:
    """Whether a Docker engine and its compose plugin can be used."""
    if shutil.which("docker") is None:
        return False
    commands = (["docker", "compose", "version"], ["docker", "info"])
    try:
        return all(
            subprocess.run(each, capture_output=True, timeout=15, check=False).returncode == 0 for each in commands
        )
    except subprocess.TimeoutExpired:
        return False


@contextmanager
def in_docker() -> Iterator[dict[str, str]]:
    """Run the two services in containers; yields the variables that point to them."""
    if subprocess.run([*_COMPOSE, "up", "--detach", "--wait", "localstack", "mongo"], check=False).returncode != 0:
        raise ServerError(
            "the containers did not start: see above, or leave Docker out with `make localstack DOCKER=no`"
        )
    try:
        # The replica set names its member by the container's name, which this machine cannot resolve.
        mongodb = {"MONGODB_URI": f"mongodb://127.0.0.1:{_MONGODB_PORT}/?directConnection=true"}
        yield aws_environment(f"http://127.0.0.1:{_AWS_PORT}") | mongodb
    finally:
        subprocess.run([*_COMPOSE, "down", "--volumes"], check=False)


@contextmanager
def on_this_machine() -> Iterator[dict[str, str]]:
    """Run the two servers as processes; yields the variables that point to them."""
    with LocalStack(port=_usual_or_free(_AWS_PORT)) as aws, Mongod(port=_usual_or_free(_MONGODB_PORT)) as mongod:
        yield aws.environment | {"MONGODB_URI": mongod.uri}


def already_running() -> bool:
    """Whether the servers of the env file answer: then another `make localstack` owns the file."""
    if not ENV_FILE.exists():
        return False
    found = re.search(r"^AWS_ENDPOINT_URL=\S*?:(\d+)", ENV_FILE.read_text(), re.MULTILINE)
    return found is not None and port_taken(int(found.group(1)))


def provision(variables: Mapping[str, str]) -> dict[str, str]:
    """Make queues and topics with `routing-sync provision`; returns the variables that name them."""
    command = Path(sys.executable).parent / "routing-sync"
    done = subprocess.run(
        [str(command), "provision", "--json"],
        env={**os.environ, **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise ServerError((done.stderr.strip().splitlines() or ["`routing-sync provision` failed without output"])[-1])
    try:
        return env_file.provisioned(done.stdout)
    except ValueError as error:
        raise ServerError(str(error)) from error


def main() -> int:
    """Serve until Ctrl-C or SIGTERM; returns the exit status."""
    parser = argparse.ArgumentParser(
        description="SNS, SQS and MongoDB on this machine, for `make run` and `make serve`"
    )
    parser.add_argument("--no-docker", action="store_true", help="use processes even where Docker answers")
    docker = not parser.parse_args().no_docker and docker_answers()
    stop_on_signals()
    if already_running():
        print(f"`make localstack` is already running, {_SHOWN} points to its servers: stop it first", file=sys.stderr)
        return 1
    print(f"Starting LocalStack (SNS, SQS) and MongoDB {'with Docker' if docker else 'without Docker'} ...", flush=True)
    written = ""
    try:
        with in_docker() if docker else on_this_machine() as places:
            variables = {**places, **SETTINGS}
            variables |= provision(variables)
            written = env_file.lines(variables)
            ENV_FILE.parent.mkdir(exist_ok=True)
            ENV_FILE.write_text(written)
            _print_places(variables)
            while True:
                time.sleep(3600)
    except ServerError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped.")
        return 0
    finally:
        # The file may belong to another `make localstack` that was started later.
        if ENV_FILE.exists() and ENV_FILE.read_text() == written:
            ENV_FILE.unlink()


def _usual_or_free(port: int) -> int:
    if not port_taken(port):
        return port
    other = free_port()
    print(f"  port {port} is taken: port {other} is used instead", flush=True)
    return other


def _print_places(variables: Mapping[str, str]) -> None:
    rows = {
        "SNS and SQS": variables["AWS_ENDPOINT_URL"],
        "MongoDB": variables["MONGODB_URI"],
        "queue": variables["SQS_QUEUE_URL"],
        "conversations": variables["SNS_CONVERSATION_TOPIC_ARN"],
        "work-items": variables["SNS_WORK_ITEM_TOPIC_ARN"],
        "settings": str(ENV_FILE.relative_to(ROOT)),
    }
    for what, where in rows.items():
        print(f"  {what:<14} {where}")
    print("Next, in other terminals:  make run, make serve        Ctrl-C here stops all of it.", flush=True)


if __name__ == "__main__":
    sys.exit(main())
