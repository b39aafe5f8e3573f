"""The image's build stage runs here, by the Dockerfile's own commands: what it installs starts, and is compiled.

That takes minutes, for two environments from the locks and the compiler.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from contextlib import redirect_stdout
from io import StringIO
from threading import Timer
from typing import Final

import pytest

from mongod import Mongod
from moto_server import MotoServer
from tests.deploy.image.build_stage import ImageBuild, StepFailed, base_python, headers_of
from worker.cli.exit_status import EXIT_DONE, EXIT_FAILED
from worker.cli.main import run
from worker.telemetry.build import BUILD

pytestmark = [
    pytest.mark.thorough,
    pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler: `apt-get install gcc`"),
    pytest.mark.skipif(BUILD == "compiled", reason="the tree of the compiled build has no source to build from"),
]


_WORKER_S: Final = 60


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> ImageBuild:
    """The image's build as it is by default."""
    python = base_python()
    headers = headers_of(python)
    if not headers.exists():
        pytest.skip(f"no {headers}: `apt-get install {headers.parent.name}-dev`")
    made = ImageBuild(tmp_path_factory.mktemp("image") / "root", python)
    made.run()
    return made


def test_the_stage_installs_a_compiled_worker(image: ImageBuild) -> None:
    assert image.asked_of_apt == ["apt-get update", "apt-get install --yes --no-install-recommends gcc libc6-dev"]
    said = _said(image, ["--version"], exit_status=EXIT_DONE)
    assert said.startswith("routing-sync ")
    assert not (image.installed / "bin" / "pip").exists()


def test_the_doctor_says_that_it_is_compiled(image: ImageBuild) -> None:
    # It has no service to reach.
    said = _said(image, ["doctor", "--json", "--check-seconds", "0.2"], exit_status=EXIT_FAILED)
    assert json.loads(said.splitlines()[-1])["summary"]["build"] == "compiled"


def test_the_start_line_says_that_it_is_compiled(image: ImageBuild, mongod: Mongod, moto: MotoServer) -> None:
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(StringIO()) as out:
        for name, value in moto.environment.items():
            patch.setenv(name, value)
        assert run(["provision", "--json", "--prefix", "image"]) == 0
    environment = {**moto.environment, **json.loads(out.getvalue())}
    environment |= {"MONGODB_URI": mongod.uri, "MONGODB_DATABASE": "image", "HTTP_PORT": "0"}
    with subprocess.Popen(_command(image, ["run"]), env=_environment(environment), stdout=subprocess.PIPE) as worker:
        guard = Timer(_WORKER_S, worker.kill)
        guard.start()
        try:
            assert worker.stdout is not None
            lines = map(json.loads, worker.stdout)
            started = next((line for line in lines if line["msg"] == "worker started"), None)
            worker.terminate()
            worker.communicate()
        finally:
            guard.cancel()
            worker.kill()
    assert started is not None, f"the worker ended, or was killed after {_WORKER_S} s, and had not started"
    assert (started["build"], worker.returncode) == ("compiled", 0)


def test_the_check_at_the_end_of_the_stage_refuses_a_compiled_worker_for_0(image: ImageBuild) -> None:
    with pytest.raises(StepFailed, match="ROUTING_SYNC_COMPILE=0, and the build is compiled"):
        image.run_again("RUN build=", ROUTING_SYNC_COMPILE="0")


def _said(image: ImageBuild, arguments: list[str], *, exit_status: int) -> str:
    """The output of the installed worker, which must end with that exit status."""
    done = subprocess.run(
        _command(image, arguments), env=_environment({}), check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == exit_status, done.stdout + done.stderr
    return done.stdout


def _command(image: ImageBuild, arguments: list[str]) -> list[str]:
    return [str(image.installed / "bin" / "routing-sync"), *arguments]


def _environment(more: Mapping[str, str]) -> dict[str, str]:
    """Without the path to the source, or the source would run."""
    return {**{name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}, **more}
