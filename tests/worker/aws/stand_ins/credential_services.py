"""STS, the agent of a container platform and the metadata service of an instance, on one port.

A test decides how long the keys are valid and how the services fail. They run in a thread of their own, so that tests
of worker processes can use them.
"""

import asyncio
import threading
from collections.abc import Coroutine, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Self
from uuid import uuid4

from aiohttp import web

ROLE = "arn:aws:iam::123456789012:role/routing-sync"
_STS = "https://sts.amazonaws.com/doc/2011-06-15/"


class CredentialServices:
    """`failing`: status and error code of every answer; None: keys are given, valid for `valid_s`."""

    def __init__(self) -> None:
        self.failing: tuple[int, str] | None = None
        self.valid_s: float = 3_600
        self.asked = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="credential-services", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._run(self._open())
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._runner.cleanup())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def container(self) -> dict[str, str]:
        """The variables by which a container platform names its agent."""
        return {"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{self.url}/container"}

    @property
    def metadata(self) -> dict[str, str]:
        """The variables that name the metadata service of the instance."""
        return {"AWS_EC2_METADATA_SERVICE_ENDPOINT": self.url, "AWS_EC2_METADATA_DISABLED": "false"}

    def web_identity(self, token_file: str) -> dict[str, str]:
        """The variables of a role that STS gives for the token in a file."""
        return {
            "AWS_ROLE_ARN": ROLE,
            "AWS_WEB_IDENTITY_TOKEN_FILE": token_file,
            "AWS_ENDPOINT_URL_STS": f"{self.url}/sts",
        }

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=30)

    async def _open(self) -> None:
        app = web.Application()
        app.router.add_get("/container", self._container)
        app.router.add_post("/sts", self._sts)
        app.router.add_put("/latest/api/token", self._token)
        app.router.add_get("/latest/meta-data/iam/security-credentials/{role:.*}", self._metadata)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def _container(self, _: web.Request) -> web.Response:
        self.asked += 1
        if self.failing:
            return web.Response(status=self.failing[0], text=self.failing[1])
        return web.json_response(self._keys())

    async def _token(self, _: web.Request) -> web.Response:
        return web.Response(text="token")

    async def _metadata(self, request: web.Request) -> web.Response:
        self.asked += 1
        if self.failing:
            return web.Response(status=self.failing[0], text=self.failing[1])
        if not request.match_info["role"]:
            return web.Response(text="routing-sync")
        return web.json_response({"Code": "Success", **self._keys()})

    async def _sts(self, request: web.Request) -> web.Response:
        self.asked += 1
        await request.read()
        if self.failing:
            status, code = self.failing
            error = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>made to fail</Message></Error>"
            text = f'<ErrorResponse xmlns="{_STS}">{error}<RequestId>1</RequestId></ErrorResponse>'
            return web.Response(status=status, text=text, content_type="text/xml")
        keys = self._keys()
        names = {"Token": "SessionToken"}
        fields = "".join(f"<{names.get(name, name)}>{value}</{names.get(name, name)}>" for name, value in keys.items())
        action = "AssumeRoleWithWebIdentity"
        result = f"<{action}Result><Credentials>{fields}</Credentials></{action}Result>"
        text = f'<{action}Response xmlns="{_STS}">{result}</{action}Response>'
        return web.Response(text=text, content_type="text/xml")

    def _keys(self) -> Mapping[str, str]:
        expires = datetime.now(UTC) + timedelta(seconds=self.valid_s)
        return {
            "AccessKeyId": f"AKIA{uuid4().hex[:12].upper()}",
            "SecretAccessKey": "secret",
            "Token": "session-token",
            "Expiration": expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
