"""With parts that are away or never answer, the doctor ends in bounded time and says which ones."""

import asyncio
import subprocess
import sys
import time

import aiohttp
import pytest
from aiohttp import web

from tests.worker.doctor.patients import Patient, codes, examined_apart, findings_in, untried_in
from tests.worker.stand_ins.tcp_server import TcpServer
from worker.findings import FindingCode

pytestmark = pytest.mark.thorough

CHECK_S = 0.5


class Silent(TcpServer):
    """Takes connections and requests, and answers nothing."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.read()
        finally:
            writer.close()


async def test_parts_that_never_answer_take_their_time_and_no_more(patient: Patient) -> None:
    async with Silent() as silent:
        patient.set(
            AWS_ENDPOINT_URL=f"http://127.0.0.1:{silent.port}",
            MONGODB_URI=f"mongodb://127.0.0.1:{silent.port}/?directConnection=true",
        )
        status, (*lines, last) = await examined_apart("--check-seconds", str(CHECK_S))
    assert status == 1
    assert [line["code"] for line in lines if line["code"]] == [FindingCode.AWS_AWAY, FindingCode.STORE_AWAY]
    untried = {line["subject"]: line["found"] for line in lines if line["result"] == "untried"}
    assert untried["AWS identity"] == f"no answer within {CHECK_S} s"
    assert untried["rights and topics"] == "SQS does not answer"
    # The calls to STS, SQS and MongoDB, and the clients' own start and end on a busy machine. Left to themselves, the
    # clients would try for more than half a minute.
    assert last["summary"]["seconds"] < 20


async def test_a_call_that_hangs_where_the_others_are_answered_takes_the_time_of_its_checks(patient: Patient) -> None:
    """A proxy before AWS that swallows one operation."""
    patient.check_s = 4
    moto = patient.aws.endpoint.url
    ended = asyncio.Event()

    async def passed_on(request: web.Request) -> web.Response:
        if request.headers.get("X-Amz-Target", "").endswith(".GetQueueUrl"):
            await ended.wait()
            return web.Response(status=503)
        async with aiohttp.ClientSession() as http:
            headers = {name: value for name, value in request.headers.items() if name != "Host"}
            async with http.post(f"{moto}{request.path}", data=await request.read(), headers=headers) as answer:
                return web.Response(body=await answer.read(), status=answer.status, content_type=answer.content_type)

    app = web.Application()
    app.router.add_post("/{path:.*}", passed_on)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    patient.set(AWS_ENDPOINT_URL_SQS=f"http://127.0.0.1:{runner.addresses[0][1]}")
    began = time.monotonic()
    reports = await patient.examined()
    seconds = time.monotonic() - began
    ended.set()
    await runner.cleanup()
    assert findings_in(reports) == []
    assert any(subject.startswith("dead-letter queue arn:") for subject in untried_in(reports))
    assert "sqs:SendMessage on the dead-letter queue" in untried_in(reports)
    # Left to itself, the client would try this one call for more than twenty seconds.
    assert seconds < 20


async def test_a_topic_service_that_never_answers_is_told_once_for_each_topic(patient: Patient) -> None:
    patient.check_s = 4
    async with Silent() as silent:
        patient.set(AWS_ENDPOINT_URL_SNS=f"http://127.0.0.1:{silent.port}")
        findings = await patient.findings()
    assert codes(findings) == [FindingCode.AWS_AWAY]
    assert {finding.subject for finding in findings} == {"SNS"}


SILENT_NAME_SERVER = """
import socket, time
look_up = socket.getaddrinfo
def slow(host, *arguments, **more):
    if host == "agent.example":
        time.sleep(60)
    return look_up(host, *arguments, **more)
socket.getaddrinfo = slow
from worker.cli.main import main
main()
"""


async def test_a_name_server_that_never_answers_does_not_hold_its_end_up(patient: Patient) -> None:
    patient.set(STATSD_HOST="agent.example")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SILENT_NAME_SERVER, "doctor", "--check-seconds", "2", stdout=subprocess.PIPE
    )
    try:
        async with asyncio.timeout(40):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert "its name cannot be looked up within 2 s" in output.decode()
    assert process.returncode == 0
