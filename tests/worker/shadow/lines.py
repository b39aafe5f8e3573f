"""Audit lines of a simulated fleet under `shadow`, as its workers write them."""

from collections.abc import Sequence
from functools import cache
from io import BytesIO
from typing import Any

import orjson

from handlers.options import PolicyInUse
from handlers.outcome import HandledEvent
from tests.causality.simulation.run import Run
from tests.causality.simulation.tally import SimulationSettings
from tests.worker.stand_ins.fake_clock import FakeClock
from worker.telemetry.logs import LogIdentity, open_log, write_audit_lines

Json = dict[str, Any]


@cache
def fleet_log(seeds: int = 8, *, routes: bool = False) -> bytes:
    """The log of so many fleets, each of them a process."""
    out = BytesIO()
    for seed in range(seeds):
        identity = LogIdentity(version="1.2", hostname=f"worker-{seed}", pid=1)
        log = open_log(level="info", identity=identity, clock=FakeClock(), to=out)
        log.info("worker started", policy="shadow", fifo=False, lanes=4)

        def handled(endings: Sequence[HandledEvent], log: Any = log) -> None:
            if endings:
                write_audit_lines(log, [each.audit.as_wire() for each in endings])

        settings = SimulationSettings(routes=routes)
        Run(seed, settings, PolicyInUse.SHADOW, handled=handled).run()
    return out.getvalue()


def lines_of(log: bytes) -> list[Json]:
    """The lines of a log as data."""
    return [orjson.loads(line) for line in log.splitlines()]


def log_of(lines: Sequence[Json]) -> bytes:
    """The log with these lines."""
    return b"".join(orjson.dumps(line) + b"\n" for line in lines)
