"""`routing-sync doctor`: what it prints, and its exit status."""

import asyncio
import json
import os
import pty
import re
import signal
import socket
import subprocess

import pytest

from tests.worker.cli.test_standard_streams import started
from tests.worker.doctor.conftest import mongo_client, patient
from tests.worker.doctor.patients import COMMAND, Patient
from worker.cli.main import run
from worker.telemetry.build import BUILD

pytestmark = pytest.mark.thorough

__all__ = ["mongo_client", "patient"]


async def doctor(*arguments: str) -> tuple[int, list[str], str]:
    """Exit status, the lines of standard output, and standard error of the verb, a process beside this one."""
    process = await asyncio.create_subprocess_exec(
        *COMMAND, "doctor", *arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    output, errors = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode().splitlines(), errors.decode()


async def test_a_fault_ends_with_1_and_each_line_is_an_object(patient: Patient) -> None:
    patient.set(SNS_WORK_ITEM_TOPIC_ARN=f"{patient.made.work_item_topic_arn}-gone")
    status, output, errors = await doctor("--json")
    *lines, last = [json.loads(line) for line in output]
    assert (status, errors) == (1, "")
    assert [line["code"] for line in lines if line["result"] == "fault"] == ["TOPIC_ABSENT"]
    assert {frozenset(line) for line in lines} == {frozenset({"result", "area", "code", "subject", "found", "remedy"})}
    summary = last["summary"]
    ends = summary.keys() - {"for", "seconds", "build"}
    counts = {result: sum(line["result"] == result for line in lines) for result in ends}
    assert {name: summary[name] for name in counts} == counts
    assert summary["for"] == "run"
    assert summary["build"] == BUILD
    assert ("process", "build", BUILD) in {(line["area"], line["subject"], line["found"]) for line in lines}


async def test_warnings_end_with_0_unless_they_are_to_count(patient: Patient) -> None:
    patient.set(HEARTBEAT_SECONDS="0")
    # Names of others, which cannot steer a terminal.
    patient.documents["work_sessions"].insert_one({"_id": "s-\x1b[2J\x9b2J", "active": "yes"})
    status, output, _ = await doctor()
    assert status == 0
    (field,) = [line for line in output if line.startswith("warning FOREIGN_FIELD")]
    assert "s-\ufffd[2J\ufffd2J" in field
    (line,) = [line for line in output if line.startswith("warning HEARTBEAT_OFF")]
    assert line == (
        "warning HEARTBEAT_OFF [settings] HEARTBEAT_SECONDS: it is 0: a quiet queue cannot be told from SNS being "
        "silent, so quiet times close no gaps → set it to a number from 1 to 30"
    )
    assert re.fullmatch(r"\d+ checks for run in [\d.]+ s: 0 faults, 2 warnings, 1 not tried", output[-1])
    assert (await doctor("--strict"))[0] == 1


async def test_the_environment_of_serve_is_enough_for_serve(patient: Patient) -> None:
    patient.unset("SQS_QUEUE_URL")
    assert (await doctor("--for", "serve", "--strict"))[0] == 0
    status, output, _ = await doctor()
    assert status == 1
    assert output[0].startswith("fault SETTING_WRONG [settings] SQS_QUEUE_URL: it is not set → ")
    assert "untried [queue] queue: SQS_QUEUE_URL must be mended first" in output


async def test_it_names_a_port_that_another_server_holds_and_takes_a_worker_of_ours_for_sound(
    patient: Patient,
) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = b'{"status":"alive"}\n'
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        patient.set(HTTP_PORT=str(server.sockets[0].getsockname()[1]))
        status, output, _ = await doctor()
    assert status == 0
    assert any(line.endswith("a process of ours serves there already") for line in output)


async def test_on_a_terminal_it_is_a_table_with_the_remedies(patient: Patient) -> None:
    patient.set(HEARTBEAT_SECONDS="0")
    main, other = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *COMMAND, "doctor", stdout=other, stderr=subprocess.PIPE, env={**os.environ, "COLUMNS": "140", "TERM": "xterm"}
    )
    os.close(other)
    output = b""
    while True:
        try:
            part = await asyncio.to_thread(os.read, main, 65_536)
        except OSError:
            break
        output += part
    os.close(main)
    await process.communicate()
    text = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", output.decode())
    assert "→ set it to a number from 1 to 30" in text
    assert "HEARTBEAT_OFF" in text
    assert "…" not in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["--for", "replay"], "'replay' is not one of 'run', 'serve'"), (["--strct"], "--strict"), (["x"], "unexpected")],
)
def test_wrong_usage_is_one_line_and_2(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", *arguments]) == 2
    errors = capsys.readouterr().err
    assert words in errors
    assert errors.count("\n") == 1


def test_ctrl_c_ends_it_while_a_part_does_not_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(30)
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with started(["doctor", "--check-seconds", "60"], env={"AWS_ENDPOINT_URL": endpoint}) as process:
            connection = silent.accept()[0]
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=10) == 130
            connection.close()
