"""Row 6: a refusal by AWS discards the keys that it names, and never keys that were found since."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from aiobotocore.credentials import AioRefreshableCredentials
from aiohttp import web

from tests.handlers.small_ports import HandClock
from tests.worker.aws.stand_ins.credential_services import CredentialServices
from tests.worker.aws.worker_queue import BOTH_TRANSPORTS, Transport, worker_queue, worker_settings
from worker.aws.clients import aws_clients
from worker.aws.credentials import SharedCredentials
from worker.errors import QueueAway
from worker.runtime.clock import SystemClock

CALLS = 4
ACCEPTED = {"Successful": [{"Id": "0"}]}
REFUSED = {"__type": "ExpiredToken", "message": "no more"}


class RefusingService:
    """Refuses the first keys that it sees, when the test says so, and accepts all others."""

    def __init__(self) -> None:
        self.first_key: str | None = None
        self.waiting: list[asyncio.Event] = []
        self.all_wait = asyncio.Event()

    async def handle(self, request: web.Request) -> web.Response:
        key = request.headers["authorization"].partition("Credential=")[2].partition("/")[0]
        self.first_key = self.first_key or key
        if key != self.first_key:
            return web.json_response(ACCEPTED)
        refuse = asyncio.Event()
        self.waiting.append(refuse)
        if len(self.waiting) == CALLS:
            self.all_wait.set()
        await refuse.wait()
        return web.json_response(REFUSED, status=403)


@asynccontextmanager
async def _served(handle: Callable[[web.Request], object]) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post("/{path:.*}", handle)  # type: ignore[arg-type]  # a handler of aiohttp's
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("transport", BOTH_TRANSPORTS)
async def test_row_6_refusals_that_arrive_after_the_renewal_discard_no_new_keys(
    transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/dev/null")
    service = RefusingService()
    with CredentialServices() as services:
        for name, value in services.container.items():
            monkeypatch.setenv(name, value)
        async with _served(service.handle) as url, aws_clients(worker_settings(url, transport), SystemClock()) as aws:
            queue = worker_queue(aws, f"{url}/123456789012/q")
            calls = [asyncio.ensure_future(queue.delete_batch(["r"])) for _ in range(CALLS)]
            await asyncio.wait_for(service.all_wait.wait(), 20)
            for refuse in service.waiting:
                refuse.set()
                done, _ = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
                (refused,) = done
                calls.remove(refused)
                with pytest.raises(QueueAway, match="ExpiredToken"):
                    refused.result()
                assert await queue.delete_batch(["r"]) == [None]
        assert services.asked == 2


async def test_row_6_a_late_refusal_during_a_renewal_leaves_keys_that_are_renewed_before_they_expire() -> None:
    renewals = 0
    renewing, release = asyncio.Event(), asyncio.Event()

    def keys_valid_for(seconds: int, name: str) -> dict[str, str]:
        expires = datetime.now(UTC) + timedelta(seconds=seconds)
        return {"access_key": name, "secret_key": "s", "token": "t", "expiry_time": expires.isoformat()}

    async def refresh() -> dict[str, str]:
        nonlocal renewals
        renewals += 1
        renewing.set()
        await release.wait()
        return keys_valid_for(59, f"key-{renewals}")

    async def load() -> AioRefreshableCredentials:
        return AioRefreshableCredentials("key-0", "s", "t", datetime.now(UTC) - timedelta(seconds=5), refresh, "test")

    credentials = SharedCredentials(load, token_files=set, clock=HandClock())
    first = asyncio.ensure_future(credentials.get_frozen_credentials())
    await renewing.wait()
    credentials.discard("key-0")
    release.set()
    assert (await first).access_key == "key-1"
    # Keys that expire within a minute are renewed before each call.
    assert (await credentials.get_frozen_credentials()).access_key == "key-2"
    credentials.discard("key-1")
    assert renewals == 2
    credentials.discard("key-2")
    assert (await credentials.get_frozen_credentials()).access_key == "key-3"
    await credentials.close()
