"""The process itself: the address it serves, the packages of the API, and the Datadog agent."""

import asyncio
from importlib.util import find_spec
from typing import Final

import aiohttp
from yarl import URL

from worker.doctor.notebook import Notebook
from worker.doctor.settings_area import UsableSettings
from worker.errors import Misconfigured, first_line
from worker.findings import FindingCode
from worker.settings.verbs.serve import ServeSettings
from worker.telemetry.agent.address import UdpAddress
from worker.telemetry.agent.probe import agent_fault
from worker.telemetry.build import BUILD
from worker.telemetry.listening_sockets import listening_sockets

_EXTRA: Final = ("fastapi", "jinja2", "uvicorn")
_ASKED_S: Final = 1.0
# A wildcard is an address to listen on and none to connect to.
_LOOPBACK: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - looked up, not listened on


async def examine_process(notebook: Notebook, usable: UsableSettings) -> None:
    """Note what the process needs of this machine."""
    settings = usable.settings
    notebook.sound("build", BUILD)
    if isinstance(settings, ServeSettings):
        missing = [name for name in _EXTRA if find_spec(name) is None]
        if missing:
            found = f"{', '.join(missing)} cannot be imported"
            notebook.finding(FindingCode.EXTRA_MISSING, "extra api", found, "install routing-sync[api]")
        await _examine_address(notebook, "API", settings.api_host, settings.api_port)
    else:
        await _examine_address(notebook, "HTTP", settings.http_host, settings.http_port)
    await _examine_agent(notebook, usable)


async def _examine_address(notebook: Notebook, setting: str, host: str, port: int) -> None:
    subject = f"{setting}_HOST {host}, {setting}_PORT {port}"
    try:
        sockets = await notebook.within_time(subject, listening_sockets(host, port, setting=setting))
    except Misconfigured as error:
        if await _is_alive(host, port):
            notebook.sound(subject, "a process of ours serves there already")
        else:
            _, found, remedy = first_line(error).rsplit(": ", 2)
            notebook.finding(FindingCode.ADDRESS_TAKEN, subject, found, remedy)
        return
    if sockets is None:
        return
    for each in sockets:
        each.close()
    notebook.sound(subject, "it can be listened on")


async def _is_alive(host: str, port: int) -> bool:
    """Whether `/healthz` answers there as our processes do."""
    url = URL.build(scheme="http", host=_LOOPBACK.get(host, host), port=port, path="/healthz")
    try:
        async with asyncio.timeout(_ASKED_S), aiohttp.ClientSession() as http, http.get(url) as response:
            return bool(await response.json() == {"status": "alive"})
    except (TimeoutError, aiohttp.ClientError, OSError, ValueError):
        return False


async def _examine_agent(notebook: Notebook, usable: UsableSettings) -> None:
    unusable = usable.unusable("STATSD_HOST", "DD_DOGSTATSD_URL", "DD_DOGSTATSD_SOCKET", "DD_AGENT_HOST")
    address = None if unusable else usable.settings.agent_address
    if address is None:
        notebook.untried("Datadog agent", unusable or "no agent is set, so there are no metrics")
        return
    subject = f"Datadog agent {address}"
    try:
        async with asyncio.timeout(notebook.check_s):
            fault = await agent_fault(address)
    except TimeoutError:
        fault = f"its name cannot be looked up within {notebook.check_s:g} s"
    if fault is not None:
        remedy = "start the agent, or correct STATSD_HOST, DD_DOGSTATSD_URL, DD_DOGSTATSD_SOCKET or DD_AGENT_HOST"
        notebook.finding(FindingCode.AGENT_UNREACHABLE, subject, fault, remedy)
    elif isinstance(address, UdpAddress):
        notebook.sound(subject, "nothing says that it is away; UDP has no answer")
    else:
        notebook.sound(subject, "its socket takes connections")
