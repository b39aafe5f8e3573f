"""`make bench-http`: requests a second and the time of a request at 1, 2 and 4 clients, beside FastAPI's bare endpoint.

Each figure is a ratio to the bare endpoint with the same number of clients in the same round, since the machine's speed
varies; the table shows medians of the rounds. Server, MongoDB and clients share the machine's cores. Prints tables, and
writes no file.
"""

import argparse
import asyncio
import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, Final

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from handlers.documents.document import document_from_snapshot
from server_process import free_port, port_taken
from tests.bench.http.load import RequestFigures, Requests, measured
from tests.bench.markdown import markdown_table
from tests.bench.runs.machine import machine
from tests.bench.runs.servers import BenchServers, running_servers
from tests.handlers.wire_events import ORG, conversation, work_item
from worker.store.documents import Collection

CLIENTS: Final = (1, 2, 4)
PAIRS: Final = 200
TOKEN: Final = "the-token-of-the-benchmark"
_STARTS_WITHIN_S: Final = 60
_KEYS: Final = [f"w-{number}" for number in range(PAIRS)]
BARE: Final = Requests(name="FastAPI's bare endpoint", paths=["/bare"])
ROWS: Final = (
    Requests(name="`GET /healthz`: no token, no store", paths=["/healthz"]),
    Requests(name="`GET` a work-item", paths=[f"/v1/routing/work-items/{key}" for key in _KEYS]),
    Requests(
        name="`GET` a conversation's work-items",
        paths=[f"/v1/routing/conversations/c-{number}/work-items" for number in range(PAIRS)],
    ),
    Requests(name="`GET` the figures of 2 queues", paths=["/v1/chat/queues/metrics/q-1,q-2"]),
    Requests(
        name="`PUT` that changes nothing",
        paths=[f"/v1/routing/work-items/{key}" for key in _KEYS],
        bodies=[b'{"queue": {"id": "q-1"}}'],
    ),
    Requests(
        name="`PUT` that pauses or resumes",
        # Every work-item once with each value, then again.
        paths=[f"/v1/routing/work-items/{key}" for key in _KEYS] * 2,
        bodies=[b'{"paused": true}'] * PAIRS + [b'{"paused": false}'] * PAIRS,
    ),
)

Measured = dict[tuple[str, int], list[RequestFigures]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and prints."""
    options = _options(arguments)
    found: Measured = {}
    with running_servers(latency_ms=0) as servers, servers.place() as place:
        _fill(servers, place)
        variables = {
            **servers.environment(place),
            "API_TOKENS": f"bench:router:{hashlib.sha256(TOKEN.encode()).hexdigest()}",
            "API_REQUESTS_PER_SECOND": "100000",
            "LOG_LEVEL": "info",
        }
        command = str(Path(sys.executable).parent / "routing-sync")
        with (
            _server([sys.executable, "-m", "tests.bench.http.bare"], variables, as_argument=True) as bare,
            _server([command, "serve"], variables, as_argument=False) as ours,
        ):
            _measure(bare, ours, options, found)
    console = Console(width=132)
    for table in _tables(found):
        console.print(table)
    console.print(f"Machine: {machine()}; {options.requests:,} requests a cell, medians of {options.rounds}")
    return 0


def _measure(bare: int, ours: int, options: argparse.Namespace, found: Measured) -> None:
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("requests", total=options.rounds * len(CLIENTS) * (len(ROWS) + 1))
        for number in range(-1, options.rounds):
            # The round before the first warms the servers up.
            total = options.requests if number >= 0 else PAIRS * 2
            for clients in CLIENTS if number >= 0 else CLIENTS[:1]:
                for port, row in ((bare, BARE), *((ours, row) for row in ROWS)):
                    figures = asyncio.run(measured(port, row.written(TOKEN), clients=clients, total=total))
                    if number >= 0:
                        found.setdefault((row.name, clients), []).append(figures)
                        progress.advance(task)


def _tables(found: Measured) -> Iterator[Table]:
    columns = [f"{clients} client{'s' if clients > 1 else ''}" for clients in CLIENTS]
    yield _table("Requests a second, as ratio to the bare endpoint", columns, found, lambda one: one.per_second)
    yield _table("Time of a request, median, as ratio to the bare endpoint", columns, found, lambda one: one.median_ms)
    yield _table("Time of a request, 99th percentile, as ratio", columns, found, lambda one: one.p99_ms)


def _table(title: str, columns: Sequence[str], found: Measured, figure: Any) -> Table:
    table = markdown_table(title, "request", *columns)
    base = [f"1.00 ({median(map(figure, found[BARE.name, clients])):,.1f})" for clients in CLIENTS]
    table.add_row(BARE.name, *base)
    for row in ROWS:
        cells = []
        for clients in CLIENTS:
            pairs = zip(found[row.name, clients], found[BARE.name, clients], strict=True)
            cells.append(f"{median(figure(ours) / figure(bare) for ours, bare in pairs):.2f}")
        table.add_row(row.name, *cells)
    return table


def _fill(servers: BenchServers, database: str) -> None:
    """Pairs of a usual size: 2 kB of attributes that nobody models."""
    rest: dict[str, Any] = {f"custom{number}": "x" * 40 for number in range(40)}
    conversations = [conversation(key=f"c-{number}", queue="q-1", **rest) for number in range(PAIRS)]
    items = [
        work_item(key=f"w-{number}", of=f"c-{number}", queue="q-1", status="queued", queuedCount=1, **rest)
        for number in range(PAIRS)
    ]
    queues = [{"_id": key, "org": ORG, "name": key} for key in ("q-1", "q-2")]
    servers.fill(
        database,
        {
            Collection.CONVERSATIONS: [document_from_snapshot(data, org=ORG, rev=1) for data in conversations],
            Collection.WORK_ITEMS: [document_from_snapshot(data, org=ORG, rev=1) for data in items],
            Collection.QUEUES: queues,
        },
    )


@contextmanager
def _server(command: Sequence[str], variables: Mapping[str, str], *, as_argument: bool) -> Iterator[int]:
    """A server on a free port, once it listens; killed at the end."""
    port = free_port()
    process = subprocess.Popen(
        [*command, str(port)] if as_argument else command,
        env={**os.environ, **variables, "API_PORT": str(port)},
        stdout=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + _STARTS_WITHIN_S
        while not port_taken(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{' '.join(command)} does not listen")
            time.sleep(0.05)
        yield port
    finally:
        process.kill()
        process.wait()


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-http", description=__doc__)
    parser.add_argument("--requests", type=int, default=1_200, help="requests of a cell; a multiple of 400")
    parser.add_argument("--rounds", type=int, default=5)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
