"""The Dockerfile: a linter takes it, and a release has its base by digest. test_build_stage.py runs it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.image.build_stage import ImageBuild, StepFailed
from tests.deploy.image.dockerfile import DOCKERFILE
from tests.deploy.tools import tool

DIGEST = f"sha256:{'0f' * 32}"


def check_of_the_base() -> str:
    """The command of the build that checks the argument PYTHON."""
    (command,) = re.findall(r"^RUN (digest=.*?[^\\])\n", DOCKERFILE.read_text(), re.MULTILINE | re.DOTALL)
    return str(command).replace("\\\n", "")


def check(**arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", "-c", check_of_the_base()], env=arguments, check=False, capture_output=True, text=True
    )


def test_hadolint_finds_nothing() -> None:
    linter = tool("hadolint")
    found = subprocess.run([linter, "--no-color", str(DOCKERFILE)], check=False, capture_output=True, text=True)
    assert (found.returncode, found.stdout) == (0, "")


@pytest.mark.parametrize("release", ["yes", "no"])
def test_a_base_by_digest_is_taken(release: str) -> None:
    taken = check(RELEASE=release, PYTHON=f"python:3.13-slim-bookworm@{DIGEST}")
    assert (taken.returncode, taken.stderr) == (0, "")


def test_a_base_by_tag_is_for_trying_out_alone() -> None:
    tried = check(RELEASE="no", PYTHON="python:3.13-slim-bookworm")
    assert tried.returncode == 0
    assert "names no digest" in tried.stderr
    refused = check(RELEASE="yes", PYTHON="python:3.13-slim-bookworm")
    assert refused.returncode == 1
    assert "needs a digest" in refused.stderr


@pytest.mark.parametrize("digest", ["sha256:", "sha256:0f", f"sha256:{'0F' * 32}", f"{DIGEST}0", f"sha512:{'0f' * 32}"])
@pytest.mark.parametrize("release", ["yes", "no"])
def test_what_is_no_digest_is_refused(digest: str, release: str) -> None:
    refused = check(RELEASE=release, PYTHON=f"python:3.13@{digest}")
    assert refused.returncode == 1
    assert "64 hexadecimal digits" in refused.stderr


def test_release_is_yes_or_no() -> None:
    assert check(RELEASE="true", PYTHON=f"python:3.13@{DIGEST}").returncode == 1


@pytest.mark.parametrize(
    ("stage", "said"),
    [
        ("RUN true \\\n && ( echo broken; exit 3 )", r"Dockerfile, line 2: RUN true .*: exit status 3\nbroken"),
        ("COPY Makefile ./", "COPY Makefile: .dockerignore leaves it out"),
        ("VOLUME /src", "line 2: VOLUME /src: the test knows no such instruction"),
    ],
    ids=["RUN", "COPY", "VOLUME"],
)
def test_a_step_that_fails_ends_the_stage_that_runs_here(stage: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(StepFailed, match=said):
        ImageBuild(tmp_path / "root", Path(sys.executable)).run(f"FROM a AS build\n{stage}\nFROM a\n")


@pytest.mark.parametrize(
    "command",
    [
        *("touch {path}", 'touch "{path}"', "true >{path}", "true 2>{path}", "cc -I{path} a.c", "a=${{A:-{path}}}"),
        *("cp /opt/a {path}", "true > /dev/null; touch {path}", "tool --to={path}", "PATH=/opt/a:{path} true"),
    ],
)
def test_a_command_with_a_path_of_this_machine_does_not_run(command: str, tmp_path: Path) -> None:
    path = tmp_path / "touched"
    stage = f"FROM a AS build\nRUN {command.format(path=path)}\nFROM a\n"
    with pytest.raises(StepFailed, match=f"line 2: RUN .*: {path} would be a path of this machine"):
        ImageBuild(tmp_path / "root", Path(sys.executable)).run(stage)
    assert not path.exists()


@pytest.mark.parametrize("command", ["rm -rf ~/a", "rm -rf $HOME/a", 'rm -rf "${HOME}"', "ls /", "ls / >/dev/null"])
def test_a_command_on_the_home_folder_or_the_root_does_not_run(command: str, tmp_path: Path) -> None:
    with pytest.raises(StepFailed, match="would be a path of this machine"):
        ImageBuild(tmp_path / "root", Path(sys.executable)).run(f"FROM a AS build\nRUN false {command}\nFROM a\n")


def test_the_stage_that_runs_here_has_its_folder_arguments_and_files(tmp_path: Path) -> None:
    stage = "ARG GIVEN=no\nENV SET=1\nWORKDIR /src\nCOPY LICENSE ./\nCOPY sync sync\nRUN true \\\n"
    check = ' && test "$BEFORE-$GIVEN-$SET" = 1-yes-1 && test -f /src/LICENSE && test -d sync && mkdir -p /opt/a'
    stage += f"{check} 2>/dev/null && apt-get install gcc && python -c 'import venv'"
    image = ImageBuild(tmp_path / "root", Path(sys.executable), GIVEN="yes")
    image.run(f"# comment\nARG BEFORE=1\nFROM a AS build\n{stage}\nFROM a\nRUN false\n")
    assert image.asked_of_apt == ["apt-get install gcc"]
    assert (image.installed.parent / "a").is_dir()
