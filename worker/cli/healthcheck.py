"""The image's health check: asks `/healthz` where the process of this container serves it, and prints one line.

| the container runs | asked at | with the defaults |
|---|---|---|
| `routing-sync run` | `HTTP_HOST`, `HTTP_PORT` | 127.0.0.1, 8080 |
| `routing-sync serve` | `API_HOST`, `API_PORT` | 127.0.0.1, 8090 |

`python -m worker.cli.healthcheck VERB` names the verb; without it the command line of the container's first process
does. The check runs every few seconds beside that process, so it imports no more than it needs: it reads the variables
itself, with the defaults of `worker/settings/`. Exit status 0 where the process is alive, else 1; 2: the command line
is wrong.
"""

import http.client
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

TIMEOUT_S: Final = 4.0
# A wildcard is an address to listen on and none to connect to.
_LOOPBACK: Final = {"0.0.0.0": ("127.0.0.1",), "::": ("::1", "127.0.0.1")}  # noqa: S104 - looked up, not listened on
_FIRST_PROCESS: Final = Path("/proc/1/cmdline")
# Behind an init process, an interpreter, or in a line for a shell.
_COMMAND: Final = re.compile(rb"(?:^|[/\s])routing-sync\s+([a-z-]+)")


class Address(NamedTuple):
    """Where a verb serves `/healthz`: the first part of the settings' names, and their defaults."""

    setting: str
    host: str
    port: str


RUN: Final = "run"
ADDRESSES: Final[Mapping[str, Address]] = {
    RUN: Address("HTTP", "127.0.0.1", "8080"),
    "serve": Address("API", "127.0.0.1", "8090"),
}
"""The verbs of the processes that can be asked."""


def main() -> None:
    """Print the line and exit."""
    asked = sys.argv[1:]
    if len(asked) > 1 or not set(asked) <= ADDRESSES.keys():
        sys.stderr.write(
            f"healthcheck: {' '.join(asked)!r} is no verb to ask: name {' or '.join(ADDRESSES)}, or none\n"
        )
        sys.exit(2)
    status, line = check(os.environ, verb=asked[0] if asked else _verb_of_container())
    sys.stdout.write(f"{line}\n")
    sys.exit(status)


def verb_in(command_line: bytes) -> str:
    """The verb of ADDRESSES in a command line as `/proc` shows it; `run` where it names none of them."""
    found = _COMMAND.search(command_line.replace(b"\0", b" "))
    verb = found[1].decode() if found else RUN
    return verb if verb in ADDRESSES else RUN


def check(environment: Mapping[str, str], *, verb: str = RUN) -> tuple[int, str]:
    """The exit status and the line. `verb` is one of ADDRESSES."""
    setting, default_host, default_port = ADDRESSES[verb]
    # Settings may be written in any case, see worker/settings/.
    variables = {name.upper(): value for name, value in environment.items()}
    # An empty variable counts as not set.
    host = variables.get(f"{setting}_HOST") or default_host
    port = variables.get(f"{setting}_PORT") or default_port
    if not port.isdecimal() or not 0 < int(port) <= 65_535:
        return 1, f"unhealthy: {setting}_PORT {port!r} names no port to ask: set it to a number from 1 to 65535"
    line = ""
    for address in _LOOPBACK.get(host, (host,)):
        healthy, line = _ask(address, int(port))
        if healthy:
            return 0, line
    return 1, line


def _verb_of_container() -> str:
    try:
        return verb_in(_FIRST_PROCESS.read_bytes())
    except OSError:
        # No /proc here, or another user's process.
        return RUN


def _ask(host: str, port: int) -> tuple[bool, str]:
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}/healthz"
    connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", "/healthz")
        status = connection.getresponse().status
    # UnicodeError: a host that cannot be a name.
    except (OSError, UnicodeError, http.client.HTTPException) as error:
        return False, f"unhealthy: {url}: {' '.join(str(error).split()) or type(error).__name__}"
    finally:
        connection.close()
    return (True, f"healthy: {url}") if status == 200 else (False, f"unhealthy: {url}: status {status}")


if __name__ == "__main__":
    main()
