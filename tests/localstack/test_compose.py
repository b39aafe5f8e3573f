"""The compose file: Docker's own grammar, settings that exist, and checks that ask what a service serves.

No Docker engine runs here: the containers are not started.
"""

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from server_process import ROOT
from worker.cli.healthcheck import ADDRESSES, verb_in
from worker.settings.api_tokens import parse_api_tokens
from worker.settings.settings import Settings
from worker.settings.verbs.serve import ServeSettings

pytestmark = pytest.mark.thorough

FILE = ROOT / "localstack" / "compose.yaml"
COMPOSE: dict[str, Any] = yaml.safe_load(FILE.read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
PROCESSES = {"worker": ("run", Settings), "serve": ("serve", ServeSettings)}
"""The services that run a verb of ours for good: by their names, the verb and its settings."""
AWS_OWN = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"}
"""Variables of AWS's library."""
each_process = pytest.mark.parametrize("name", PROCESSES)


def valid(file: Path) -> subprocess.CompletedProcess[str]:
    """Hold a file against the specification of compose files, as the validator brings it along."""
    command = str(Path(sys.executable).parent / "check-jsonschema")
    return subprocess.run(
        [command, "--builtin-schema", "vendor.compose-spec", str(file)], capture_output=True, text=True, check=False
    )


def image_environment() -> dict[str, str]:
    """The variables that the image sets."""
    last_stage = (ROOT / "Dockerfile").read_text().rpartition("\nFROM ")[2]
    (line,) = re.findall(r"^ENV (.*)$", last_stage, re.MULTILINE)
    return dict(each.split("=", 1) for each in line.split())


def test_it_is_a_compose_file() -> None:
    done = valid(FILE)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_mistyped_key_is_none(tmp_path: Path) -> None:
    mistyped = tmp_path / "compose.yaml"
    mistyped.write_text(FILE.read_text().replace("restart: on-failure", "restrat: on-failure"))
    done = valid(mistyped)
    assert done.returncode == 1
    assert "restrat" in done.stdout


@each_process
def test_every_variable_is_a_setting_of_its_process(name: str) -> None:
    """The start would only warn of another one, if it is nearly a setting."""
    settings = {field.upper() for field in PROCESSES[name][1].model_fields}
    assert SERVICES[name]["environment"].keys() - AWS_OWN <= settings


def test_both_processes_have_one_environment_and_serve_its_tokens() -> None:
    worker, serve = (SERVICES[name]["environment"] for name in PROCESSES)
    assert serve == {**worker, "API_TOKENS": serve["API_TOKENS"]}
    # What the status page shows comes from the worker.
    settings = Settings.model_validate(given(worker))
    assert settings.status_seconds > 0
    assert settings.waiting_times


def given(variables: dict[str, str]) -> dict[str, str]:
    """Settings as a container has them: those of the file, of the image, and what `provision` writes."""
    topic = "arn:aws:sns:us-east-1:000000000000:"
    provisioned = {
        "SQS_QUEUE_URL": "http://sqs.us-east-1.localhost:4566/000000000000/queue",
        "SNS_CONVERSATION_TOPIC_ARN": f"{topic}conversation",
        "SNS_WORK_ITEM_TOPIC_ARN": f"{topic}work-item",
    }
    every = {**provisioned, **image_environment(), **variables}
    return {name.lower(): value for name, value in every.items() if name.lower() in ServeSettings.model_fields}


def test_the_api_starts_with_these_settings_and_one_token_that_may_all() -> None:
    variables = dict(SERVICES["serve"]["environment"])
    default = re.fullmatch(r"\$\{API_TOKENS:-(.*)\}", variables["API_TOKENS"])
    assert default is not None
    (token,) = parse_api_tokens(default[1])
    assert (token.role, token.digest) == ("router", hashlib.sha256(b"test").digest())
    settings = ServeSettings.model_validate(given({**variables, "API_TOKENS": default[1]}))
    assert settings.api_host == "0.0.0.0"


@each_process
def test_the_image_listens_where_the_published_port_leads(name: str) -> None:
    verb, settings = PROCESSES[name]
    setting = ADDRESSES[verb].setting
    host, port = image_environment()[f"{setting}_HOST"], settings.model_fields[f"{setting}_PORT".lower()].default
    assert host == "0.0.0.0"
    # Nobody else's machine can reach it.
    assert SERVICES[name]["ports"] == [f"127.0.0.1:{port}:{port}"]


@each_process
def test_the_health_check_asks_the_verb_that_the_service_runs(name: str) -> None:
    service, verb = SERVICES[name], PROCESSES[name][0]
    assert service["healthcheck"]["test"] == ["CMD", "python", "-m", "worker.cli.healthcheck", verb]
    (command,) = service["command"]
    assert command.endswith(f"; exec routing-sync {verb}")
    # The image's own check would find the same out.
    line = "\0".join(["/sbin/docker-init", "--", *service["entrypoint"], command, ""])
    assert verb_in(line.encode()) == verb


@each_process
def test_it_takes_the_images_user_and_no_rights_and_is_started_again(name: str) -> None:
    service = SERVICES[name]
    assert "user" not in service
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    # Its entrypoint takes the place of the image's, which has an init process.
    assert service["init"] is True
    assert service["restart"] == "on-failure"


@each_process
def test_it_has_time_to_stop(name: str) -> None:
    seconds = int(SERVICES[name]["stop_grace_period"].removesuffix("s"))
    assert seconds > Settings.model_fields["shutdown_seconds"].default + 5


@each_process
def test_it_starts_once_mongodb_is_healthy_and_everything_is_provisioned(name: str) -> None:
    assert SERVICES[name]["depends_on"] == {
        "mongo": {"condition": "service_healthy"},
        "provision": {"condition": "service_completed_successfully"},
    }


def test_localstack_is_not_started_again_without_its_queues() -> None:
    assert "restart" not in SERVICES["localstack"]
    assert SERVICES["mongo"]["restart"] == "on-failure"
    assert "mongo:/data/db" in SERVICES["mongo"]["volumes"]


def test_every_published_port_is_loopbacks() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(ports) == 4
    assert all(port.startswith("127.0.0.1:") for port in ports), json.dumps(ports)
