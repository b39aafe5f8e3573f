"""The deployment files: the container's user, and no secrets."""

import re

import pytest

from server_process import ROOT

ROOT_USER = {"root", "0"}


def test_the_container_does_not_run_as_root() -> None:
    """The last `USER` of the last stage is the container's user; without one it would be root."""
    last_stage = (ROOT / "Dockerfile").read_text().rpartition("\nFROM ")[2]
    users = re.findall(r"^USER\s+(\S+)$", last_stage, re.MULTILINE)
    assert users, "a stage without USER runs as root"
    user, _, group = users[-1].partition(":")
    assert user not in ROOT_USER
    assert group not in ROOT_USER
    # A number, so that an orchestrator can check it without reading the image.
    assert user.isdecimal()


def test_the_worker_of_the_compose_file_takes_the_images_user_and_no_rights() -> None:
    services = (ROOT / "localstack" / "compose.yaml").read_text().partition("\nservices:\n")[2]
    worker = re.search(r"^  worker:\n((?:    .*\n|\n)+)", services, re.MULTILINE)
    assert worker is not None
    assert "user:" not in worker[1]
    assert "read_only: true" in worker[1]
    assert "cap_drop: [ALL]" in worker[1]
    assert "no-new-privileges:true" in worker[1]


@pytest.mark.parametrize("file", ["Dockerfile", "localstack/compose.yaml"])
def test_the_files_hold_no_secret_but_the_local_ones(file: str) -> None:
    named = re.findall(r"(?:SECRET|PASSWORD|TOKEN)\w*\s*[=:]\s*(\S+)", (ROOT / file).read_text())
    assert set(named) <= {"test"}
