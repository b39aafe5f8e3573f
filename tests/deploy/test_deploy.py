"""What stands in the files that others deploy with: the user of the container, and nobody's secrets."""

import re

import pytest

from server_process import ROOT

ROOT_USER = {"root", "0"}


def test_the_container_is_not_roots() -> None:
    """The last `USER` of the last stage is whom it runs as; none would mean root."""
    last_stage = (ROOT / "Dockerfile").read_text().rpartition("\nFROM ")[2]
    users = re.findall(r"^USER\s+(\S+)$", last_stage, re.MULTILINE)
    assert users, "a stage without USER runs as root"
    user, _, group = users[-1].partition(":")
    assert user not in ROOT_USER
    assert group not in ROOT_USER
    # By number, so that an orchestrator can tell without looking into the image that it is not root's.
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
def test_no_secret_but_the_stand_ins_is_in_the_files(file: str) -> None:
    named = re.findall(r"(?:SECRET|PASSWORD|TOKEN)\w*\s*[=:]\s*(\S+)", (ROOT / file).read_text())
    assert set(named) <= {"test"}
