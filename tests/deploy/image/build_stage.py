"""The Dockerfile's build stage without Docker: its own commands, with a folder in the place of the image's root.

Every absolute path of the image (`/opt`, `/src`, `/wheel`, `/var`) becomes a path in that folder. The base's Python is
one of this machine, of the version that the Dockerfile names. `apt-get` is a stand-in that installs nothing: the
compiler is this machine's. A command with any other path of this machine does not run.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from server_process import ROOT
from tests.deploy.image.dockerfile import DOCKERFILE

_OF_THE_IMAGE: Final = re.compile(r"(?<![\w./-])/(?=(?:opt|src|wheel|var)\b)")
_OF_THIS_MACHINE: Final = re.compile(
    r"""
    (?: (?<![\w./})*-]) | (?<=:[-=+]) | (?<=\s-\w) )   # where a path starts: a word, ${NAME:-/path}, -I/path
    /(?!/|dev/null\b)[^\s;|&"')}]*
    | (?<!\w)~ | \$\{?HOME\b
    """,
    re.VERBOSE,
)
"""An absolute path in a command from which the paths of the image were taken, or the home folder."""
_CONTINUED: Final = re.compile(r"\\\n")
_APT_GET: Final = '#!/bin/sh\necho "apt-get $*" >> "$APT_GET_LOG"\n'
_INCLUDE: Final = "import sysconfig; print(sysconfig.get_path('include'))"
_LINES_MAX: Final = 30


class Instruction(NamedTuple):
    """One instruction of the Dockerfile. `line` is the first one of its lines."""

    line: int
    name: str
    rest: str

    def __str__(self) -> str:
        return f"Dockerfile, line {self.line}: {self.name} {self.rest.splitlines()[0]}"


class StepFailed(Exception):
    """A command of the build stage ended with another exit status than 0, or cannot run here. The message has the
    command, and the end of its output."""


def instructions(text: str) -> Iterator[Instruction]:
    """The instructions of a Dockerfile, in order. A RUN keeps the line breaks that its shell sees."""
    lines = text.splitlines()
    number = 0
    while number < len(lines):
        first = number
        taken = lines[number]
        number += 1
        if not taken.strip() or taken.startswith("#"):
            continue
        while taken.endswith("\\") and number < len(lines):
            taken += "\n" + lines[number]
            number += 1
        name, _, rest = taken.partition(" ")
        yield Instruction(first + 1, name, rest)


def before_the_stages(text: str) -> list[Instruction]:
    """The instructions before the first FROM: arguments of every stage."""
    found = list(instructions(text))
    return found[: next(place for place, one in enumerate(found) if one.name == "FROM")]


def build_stage(text: str) -> list[Instruction]:
    """The instructions between the first FROM and the second."""
    found = list(instructions(text))
    first, second = (place for place, one in enumerate(found) if one.name == "FROM")
    return found[first + 1 : second]


def base_python() -> Path:
    """A Python of this machine that is of the base's version, or else the one that runs the tests."""
    [version] = re.findall(r"^ARG PYTHON=python:(\d+\.\d+)-", DOCKERFILE.read_text(), re.MULTILINE)
    of_pyenv = sorted((Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/python"))
    for candidate in (f"python{version}", *map(str, of_pyenv)):
        found = shutil.which(candidate)
        # What pyenv leaves on the PATH may name a version that is not chosen.
        if (
            found
            and subprocess.run([found, "-c", "import ensurepip, venv"], check=False, capture_output=True).returncode
            == 0
        ):
            return Path(found)
    return Path(sys.executable).resolve()


def headers_of(python: Path) -> Path:
    """Where that Python has its Python.h, if it has it."""
    said = subprocess.run([python, "-c", _INCLUDE], check=True, capture_output=True, text=True).stdout
    return Path(said.strip(), "Python.h")


class ImageBuild:
    """A run of the build stage in a folder. `arguments` are those of `docker build --build-arg`."""

    def __init__(self, folder: Path, python: Path, **arguments: str) -> None:
        self._folder, self._arguments = folder, arguments
        self._values: dict[str, str] = {}
        self._at = folder
        tools = folder / "tools"
        tools.mkdir(parents=True)
        # A link would not do: an environment made by a link looks for its library beside the link.
        for name, script in (("python", f'#!/bin/sh\nexec {python} "$@"\n'), ("apt-get", _APT_GET)):
            (tools / name).write_text(script)
            (tools / name).chmod(0o755)
        self._environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        self._environment |= {"APT_GET_LOG": str(folder / "apt-get.log"), "PYTHONDONTWRITEBYTECODE": "1"}
        self._environment["PATH"] = f"{tools}:{os.environ['PATH']}"

    @property
    def installed(self) -> Path:
        """The environment that the last stage copies."""
        return self._folder / "opt" / "routing-sync"

    @property
    def asked_of_apt(self) -> list[str]:
        """The calls of apt-get."""
        log = self._folder / "apt-get.log"
        return log.read_text().splitlines() if log.exists() else []

    def run(self, text: str | None = None) -> None:
        """Runs the stage of the Dockerfile, or of `text`. Raises StepFailed."""
        text = DOCKERFILE.read_text() if text is None else text
        self._values = {}
        for one in (*before_the_stages(text), *build_stage(text)):
            self._step(one)

    def run_again(self, start: str, **values: str) -> None:
        """Runs the one instruction that starts so once more, with other values for it alone. Raises StepFailed."""
        [one] = [each for each in build_stage(DOCKERFILE.read_text()) if f"{each.name} {each.rest}".startswith(start)]
        before, self._values = self._values, {**self._values, **values}
        try:
            self._step(one)
        finally:
            self._values = before

    def _step(self, one: Instruction) -> None:
        match one.name:
            case "ARG":
                name, _, default = one.rest.partition("=")
                self._values[name] = self._arguments.get(name, default or self._values.get(name, ""))
            case "ENV":
                self._values |= dict(pair.split("=", 1) for pair in one.rest.split())
            case "WORKDIR":
                self._at = self._here(one.rest)
                self._at.mkdir(parents=True, exist_ok=True)
            case "COPY":
                self._copy(*one.rest.split())
            case "RUN":
                self._run(one)
            case _:
                raise StepFailed(f"{one}: the test knows no such instruction")

    def _copy(self, *names: str) -> None:
        target = self._here(names[-1])
        for name in names[:-1]:
            source = ROOT / name
            if f"!{name}" not in (ROOT / ".dockerignore").read_text().splitlines():
                raise StepFailed(f"COPY {name}: .dockerignore leaves it out")
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
            else:
                target.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target / source.name)

    def _run(self, one: Instruction) -> None:
        command = _CONTINUED.sub("", one.rest)
        if outside := _OF_THIS_MACHINE.search(_OF_THE_IMAGE.sub("", command)):
            raise StepFailed(f"{one}: {outside[0]} would be a path of this machine: add it to _OF_THE_IMAGE")
        command = _OF_THE_IMAGE.sub(f"{self._folder}/", command)
        environment = {**self._environment, **self._values}
        done = subprocess.run(
            ["/bin/sh", "-c", command], env=environment, cwd=self._at, check=False, capture_output=True, text=True
        )
        if done.returncode != 0:
            end = "\n".join((done.stdout + done.stderr).splitlines()[-_LINES_MAX:])
            raise StepFailed(f"{one}: exit status {done.returncode}\n{end}")

    def _here(self, path: str) -> Path:
        return self._folder / path.lstrip("/") if path.startswith("/") else self._at / path
