"""The deployment files: the container's user, and no secrets."""

import json
import re
import tomllib

import pytest

from server_process import ROOT
from worker.settings.verbs.serve import ServeSettings

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


def test_row_15_the_first_process_of_the_container_is_an_init_process() -> None:
    last_stage = (ROOT / "Dockerfile").read_text().rpartition("\nFROM ")[2]
    entry = re.findall(r"^ENTRYPOINT (.*)$", last_stage, re.MULTILINE)[-1]
    assert json.loads(entry)[:3] == ["tini", "-s", "--"]
    assert "apt-get install --yes --no-install-recommends tini" in last_stage


def test_row_16_the_images_health_check_is_the_workers_own() -> None:
    last_stage = (ROOT / "Dockerfile").read_text().rpartition("\nFROM ")[2]
    check = re.search(r"^HEALTHCHECK .* CMD (.*)$", last_stage, re.MULTILINE)
    assert check is not None
    assert json.loads(check[1]) == ["python", "-m", "worker.cli.healthcheck"]


def test_every_variable_of_the_image_is_a_setting_or_pythons() -> None:
    last_stage = (ROOT / "Dockerfile").read_text().rpartition("\nFROM ")[2]
    (line,) = re.findall(r"^ENV (.*)$", last_stage, re.MULTILINE)
    names = {each.partition("=")[0] for each in line.split()}
    ours = {name for name in names if name != "PATH" and not name.startswith("PYTHON")}
    assert ours == {"HTTP_HOST", "API_HOST"}
    assert {name.lower() for name in ours} <= ServeSettings.model_fields.keys()


@pytest.mark.parametrize("file", ["Dockerfile", "localstack/compose.yaml"])
def test_the_files_hold_no_secret_but_the_local_ones(file: str) -> None:
    named = re.findall(r"(?:SECRET|PASSWORD|TOKEN)\w*\s*[=:]\s*(\S+)", (ROOT / file).read_text())
    # A token's digest is no secret: the tests of the compose file know the token.
    assert {name for name in named if not name.startswith("${API_TOKENS:-test:router:")} <= {"test"}


def test_row_22_the_docs_say_which_packages_the_wheel_brings_and_that_it_is_installed_alone() -> None:
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"][
        "packages"
    ]
    page = (ROOT / "docs" / "operations.md").read_text()
    section = page.partition("\n## Installing it\n")[2].partition("\n## ")[0]
    assert all(f"`{package}`" in section for package in packages)
    assert "pipx install" in section
    assert "docker build" in section
    assert "operations.md#installing-it" in (ROOT / "README.md").read_text()
