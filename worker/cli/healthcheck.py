"""The image's health check: asks `/healthz` where the worker of this container serves it, and prints one line.

It runs every few seconds beside the worker, so it imports no more than it needs: it reads HTTP_HOST and HTTP_PORT
itself, with the defaults of `worker/settings/settings.py`. Exit status 0 where the worker is alive, else 1.
"""

import http.client
import os
import sys
from collections.abc import Mapping
from typing import Final

DEFAULT_HOST: Final = "127.0.0.1"
DEFAULT_PORT: Final = "8080"
TIMEOUT_S: Final = 4.0
# A wildcard is an address to listen on and none to connect to.
_LOOPBACK: Final = {"0.0.0.0": ("127.0.0.1",), "::": ("::1", "127.0.0.1")}  # noqa: S104 - looked up, not listened on


def main() -> None:
    """Print the line and exit."""
    status, line = check(os.environ)
    sys.stdout.write(f"{line}\n")
    sys.exit(status)


def check(environment: Mapping[str, str]) -> tuple[int, str]:
    """The exit status and the line."""
    # Settings may be written in any case, see worker/settings/.
    variables = {name.upper(): value for name, value in environment.items()}
    # An empty variable counts as not set.
    host, port = variables.get("HTTP_HOST") or DEFAULT_HOST, variables.get("HTTP_PORT") or DEFAULT_PORT
    if not port.isdecimal() or not 0 < int(port) <= 65_535:
        return 1, f"unhealthy: HTTP_PORT {port!r} names no port to ask: set it to a number from 1 to 65535"
    line = ""
    for address in _LOOPBACK.get(host, (host,)):
        healthy, line = _ask(address, int(port))
        if healthy:
            return 0, line
    return 1, line


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
