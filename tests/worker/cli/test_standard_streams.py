"""Row 19: output that cannot be written, standard input without a temporary folder, and Ctrl-C, for every verb."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from moto_server import MotoServer
from tests.handlers.wire_events import LOST_ASSIGNMENT, conversation, event, published, text
from tests.worker.cli.test_main import AWAY
from tests.worker.replay.replays import incident
from worker.cli.input_files.decide import EXAMPLES
from worker.cli.verbs import VERBS

pytestmark = pytest.mark.thorough

ROOT: Final = Path(__file__).parents[3]
COMMAND: Final = [sys.executable, "-c", "from worker.cli.main import main; main()"]
WITHOUT_FILES: Final = ["sh", "-c", 'ulimit -f 0 && exec "$0" "$@"', *COMMAND]
"""The command line where no file can be written, as on a read-only root."""
INCIDENT: Final = incident(LOST_ASSIGNMENT)
PRINTING: Final = {
    "provision": ["provision", "--json", "--prefix", "row-19"],
    "publish": ["publish", "--json", "-"],
    "replay observe": ["replay", INCIDENT],
    "replay observe --json": ["replay", "--json", INCIDENT],
    "replay simulate": ["replay", "simulate", INCIDENT],
    "replay explore": ["replay", "explore", "--json", INCIDENT],
    "decide": ["decide"],
    "--help": ["--help"],
    "--version": ["--version"],
    "decide --help": ["decide", "--help"],
    "run --help": ["run", "--help"],
    "serve --help": ["serve", "--help"],
    "sweep --help": ["sweep", "--help"],
    "dead-letters --help": ["dead-letters", "--help"],
    "redrive --help": ["redrive", "--help"],
    "doctor --help": ["doctor", "--help"],
    "shadow-report": ["shadow-report", INCIDENT],
    "size": ["size"],
    "import": ["import", "--keep-personal-data", INCIDENT],
    "explain": ["explain", "621fc1d36a39b4aa389cb72b", "--logs", INCIDENT],
    "timeline": ["timeline", INCIDENT],
    "timeline --json": ["timeline", "--json", INCIDENT],
    "timeline --markdown": ["timeline", "--markdown", INCIDENT],
    "doctor": ["doctor", "--check-seconds", "0.1"],
}
"""Command lines that print. The worker has line writers, which outlive its output (../test_broken_output.py)."""
READING: Final = {
    "publish": ["publish", "-"],
    "replay observe": ["replay", "-"],
    "replay simulate": ["replay", "simulate", "-"],
    "replay explore": ["replay", "explore", "-"],
    "decide": ["decide"],
    "shadow-report": ["shadow-report", "-"],
    "import": ["import", "-"],
    "timeline": ["timeline", "-"],
    "explain": ["explain", "c-1", "--logs", "-"],
}


def test_every_verb_has_its_case() -> None:
    assert {name.partition(" ")[0] for name in PRINTING} >= set(VERBS) - {"run"}


@contextmanager
def started(arguments: list[str], command: list[str] = COMMAND, **more: Any) -> Iterator[subprocess.Popen[bytes]]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    environment |= {**AWAY, **more.pop("env", {})}
    streams: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen([*command, *arguments], cwd=ROOT, env=environment, **{**streams, **more}) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("case", "output"),
    [
        ("replay simulate", "full"),
        ("decide", "broken"),
        *(pytest.param(case, "full", marks=pytest.mark.thorough) for case in PRINTING if case != "replay simulate"),
        *(pytest.param(case, "closed", marks=pytest.mark.thorough) for case in ("replay observe", "decide", "--help")),
    ],
)
def test_row_19_output_that_cannot_be_written_is_one_line(moto: MotoServer, case: str, output: str) -> None:
    reasons = {"full": "No space left on device", "broken": "Broken pipe", "closed": "it is closed"}
    reading, writing = os.pipe()
    os.close(reading)
    full = os.open("/dev/full", os.O_WRONLY)
    command = ["sh", "-c", 'exec "$0" "$@" >&-', *COMMAND] if output == "closed" else COMMAND
    out = {"full": full, "broken": writing, "closed": None}[output]
    with started(PRINTING[case], command, stdout=out, env=moto.environment) as process:
        os.close(full)
        os.close(writing)
        _, errors = process.communicate(EXAMPLES[0].encode() if case == "decide" else b"")
    verb = f" {case.partition(' ')[0]}" if case.partition(" ")[0] in VERBS else ""
    # `provision` says there what it changed.
    assert [line for line in errors.decode().splitlines() if ": changed: " not in line] == [
        f"routing-sync{verb}: cannot write to standard output: {reasons[output]}; the rest of the output is lost"
    ]
    assert process.returncode == 1


@pytest.mark.parametrize(
    "arguments", [["run"], pytest.param(["run", "--no-such-option"], marks=pytest.mark.thorough)], ids=" ".join
)
@pytest.mark.parametrize("closed", [">&-", pytest.param("2>&-", marks=pytest.mark.thorough)])
def test_row_1_wrong_settings_and_options_have_their_status_where_a_stream_is_closed(
    arguments: list[str], closed: str
) -> None:
    command = ["sh", "-c", f'exec "$0" "$@" {closed}', *COMMAND]
    with started(arguments, command, env={"LANES": "none"}) as process:
        output, errors = process.communicate()
    assert process.returncode == 2
    assert output == b""
    assert len(errors.splitlines()) == (1 if closed == ">&-" else 0)


def test_row_19_a_slow_reader_of_a_non_blocking_pipe_gets_all() -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    questions = b"".join(example.encode() + b"\n" for example in EXAMPLES) * 200
    with started(["decide"], stdout=writing) as process:
        os.close(writing)
        assert process.stdin is not None
        process.stdin.write(questions)
        process.stdin.close()
        with os.fdopen(reading, "rb") as output:
            lines = output.readlines()
        assert process.wait() == 0
    assert len(lines) == 400


@pytest.mark.parametrize("mode", [pytest.param("observe", marks=pytest.mark.thorough), "simulate"])
def test_row_19_standard_input_needs_no_temporary_folder(mode: str) -> None:
    with started(["replay", mode, "--json", "-"], WITHOUT_FILES) as process:
        output, errors = process.communicate(Path(INCIDENT).read_bytes())
    assert (process.returncode, errors) == (0, b"")
    with started(["replay", mode, "--json", INCIDENT]) as process:
        assert process.communicate()[0] == output


def test_row_19_standard_input_that_cannot_be_copied_is_one_line_that_does_not_blame_it() -> None:
    with started(["replay", "simulate", "-"], WITHOUT_FILES) as process:
        output, errors = process.communicate((b" " * 1_000_000 + b"\n") * 9)
    (line,) = errors.decode().splitlines()
    assert line.startswith("routing-sync replay: standard input cannot be copied for its second reading: ")
    assert line.endswith(": set TMPDIR to a folder with room for the copy, or name a file")
    assert (process.returncode, output) == (1, b"")


@pytest.mark.parametrize(
    "case",
    ["replay simulate", *(pytest.param(case, marks=pytest.mark.thorough) for case in READING if "sim" not in case)],
)
def test_row_19_ctrl_c_ends_the_reading_of_standard_input(case: str) -> None:
    with started(READING[case]) as process:
        assert process.stdin is not None
        # More than a pipe holds: when it is written, the verb reads.
        process.stdin.write((b" " * 1_000 + b"\n") * 200)
        process.stdin.flush()
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=10) == 130
        assert process.stderr is not None
        assert process.stderr.read().strip() == b""


@pytest.mark.parametrize(
    "mode", ["observe", *(pytest.param(m, marks=pytest.mark.thorough) for m in ("simulate", "explore"))]
)
def test_row_19_ctrl_c_ends_a_replay_whose_output_nobody_reads(tmp_path: Path, mode: str) -> None:
    file = tmp_path / "capture"
    file.write_text("\n".join(text(published(event(conversation(1, key=f"c-{n}")))) for n in range(3_000)))
    with started(["replay", mode, "--json", str(file)]) as process:
        assert process.stdout is not None
        assert process.stdout.read(1) == b"{"
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=10) == 130
        assert process.stderr is not None
        assert process.stderr.read().strip() == b""


@pytest.mark.parametrize("verb", ["publish", "provision"])
def test_row_19_ctrl_c_ends_the_wait_for_a_service(tmp_path: Path, verb: str) -> None:
    file = tmp_path / "capture"
    file.write_text(text(published(event(conversation()))))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(30)
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        arguments = [verb, *([str(file)] if verb == "publish" else [])]
        with started(arguments, env={"AWS_ENDPOINT_URL": endpoint}) as process:
            connection = silent.accept()[0]
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=10) == 130
            connection.close()
            assert process.stderr is not None
            assert process.stderr.read().strip() == b""


def test_ctrl_c_stays_ignored_where_the_parent_ignores_it() -> None:
    ignoring = ["sh", "-c", 'trap "" INT; exec "$0" "$@"', *COMMAND]
    with started(["decide"], ignoring) as process:
        assert process.stdin is not None
        process.stdin.write((b" " * 1_000 + b"\n") * 200)
        process.stdin.flush()
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(EXAMPLES[0].encode())
    assert (process.returncode, len(output.splitlines())) == (0, 1)
