"""The measured costs, the costs of a mix, and files that are none."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from worker.sizing.costs import MEASURED_FILE, MEASURED_SHARES, UnusableFigures, read_costs

MEASURED = read_costs()
STORED = json.loads(MEASURED_FILE.read_bytes())


def _stored(letter: str) -> dict[str, Any]:
    return next(cost for cost in STORED["costs"] if cost["kind"].startswith(letter))


@pytest.mark.parametrize("letter", ["a", "b", "c"])
def test_a_mix_of_one_load_alone_is_that_load(letter: str) -> None:
    found = MEASURED.mixed({letter: 1.0})
    assert found.worker_cpu_s == pytest.approx(_stored(letter)["worker_cpu_s"])
    assert found.published == pytest.approx(_stored(letter)["published"])


def test_the_measured_mix_costs_what_was_measured() -> None:
    found = msgspec.to_builtins(MEASURED.mixed(MEASURED_SHARES))
    stored = _stored("d")
    names = stored.keys() - {"kind", "stored_bytes"}
    assert {name: found[name] for name in names} == pytest.approx({name: stored[name] for name in names})


def test_what_an_event_stores_is_never_below_zero() -> None:
    assert _stored("b")["stored_bytes"] < 0
    assert MEASURED.mixed({"b": 1.0}).stored_bytes == 0
    assert MEASURED.of("d").stored_bytes == pytest.approx(0.05 * _stored("c")["stored_bytes"])


def test_more_syncs_cost_more() -> None:
    some, more = (MEASURED.mixed({"a": 1 - share, "c": share}) for share in (0.1, 0.2))
    assert more.worker_cpu_s > some.worker_cpu_s
    assert more.mongod_cpu_s > some.mongod_cpu_s
    assert more.published == pytest.approx(2 * some.published)


def test_the_figures_say_where_they_come_from() -> None:
    for part in ("costs", "footprint"):
        origin = MEASURED.measured[part]
        assert origin.commit
        assert "cores" in origin.machine
        assert origin.date.startswith("20")


def _without(part: str) -> dict[str, Any]:
    return {**STORED, "measured": {name: value for name, value in STORED["measured"].items() if name != part}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no json", "JSON is malformed"),
        (b"", "Input data was truncated"),
        (b"\xff", "JSON is malformed"),
        (b"[]", "Expected `object`"),
        (json.dumps({**STORED, "footprint": {}}).encode(), "missing required field `resident_bytes`"),
        (json.dumps({**STORED, "costs": STORED["costs"][1:]}).encode(), "it has no costs of the loads a"),
        (json.dumps(_without("footprint")).encode(), "does not say where footprint come"),
        (
            json.dumps({**STORED, "costs": [{**cost, "worker_cpu_s": 0} for cost in STORED["costs"]]}).encode(),
            "no CPU time of the worker",
        ),
    ],
    ids=["text", "empty", "bytes", "array", "no footprint", "no load a", "no provenance", "no CPU"],
)
def test_a_file_that_holds_no_costs_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "figures.json"
    path.write_bytes(content)
    with pytest.raises(UnusableFigures, match=message):
        read_costs(path)
