"""COMMAND_ENGINE, COMPOSED_UPDATES and MAX_FIELDS, and the metric that counts updates."""

from collections.abc import Mapping
from typing import Any

import pytest
from msgspec.structs import replace

from commands.engines.rollout import DEFAULT_ROLLOUT, FUNNEL_ROW_NAMES, Engine, EngineRollout, UpdateOrigin
from handlers.options import PolicyInUse
from handlers.outcome import HandledEvent
from tests.handlers.wire_events import Json, conversation, event, work_item
from tests.handlers.world import World, code_of
from tests.worker.settings.test_settings import GOOD
from tests.worker.stand_ins.telemetry_recorder import TelemetryRecorder
from worker.settings.reading import SettingErrors, read_settings
from worker.settings.settings import Settings
from worker.settings.table import setting_rows
from worker.telemetry.audit_log import log_handled
from worker.telemetry.metrics import Metric

LEGACY_SET = {"COMMAND_ENGINE": "legacy", "SYNC_POLICY": "legacy"}


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for row in setting_rows():
        monkeypatch.delenv(row.name, raising=False)
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)


def read(monkeypatch: pytest.MonkeyPatch, variables: Mapping[str, str]) -> Settings | SettingErrors:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return read_settings(Settings)


def rollout_of(monkeypatch: pytest.MonkeyPatch, **variables: str) -> EngineRollout:
    settings = read(monkeypatch, variables)
    assert isinstance(settings, Settings), settings
    return settings.rollout


def faults(monkeypatch: pytest.MonkeyPatch, **variables: str) -> list[str]:
    found = read(monkeypatch, variables)
    assert isinstance(found, SettingErrors)
    return list(found.lines)


class TestGood:
    def test_by_default_every_update_is_composed_and_no_limit_is_set(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert rollout_of(monkeypatch) == DEFAULT_ROLLOUT

    @pytest.mark.parametrize("engine", Engine, ids=lambda engine: engine.value)
    def test_the_engine(self, monkeypatch: pytest.MonkeyPatch, engine: Engine) -> None:
        assert rollout_of(monkeypatch, COMMAND_ENGINE=engine.value, SYNC_POLICY="legacy") == EngineRollout(
            engine=engine
        )

    @pytest.mark.parametrize("text", ["LEGACY", "Legacy"])
    def test_the_engine_in_any_case(self, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
        assert rollout_of(monkeypatch, COMMAND_ENGINE=text, SYNC_POLICY="legacy").engine is Engine.LEGACY

    @pytest.mark.parametrize("name", FUNNEL_ROW_NAMES)
    def test_every_update_can_be_rolled_out(self, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        rollout = rollout_of(monkeypatch, **LEGACY_SET, COMPOSED_UPDATES=name)
        assert rollout == EngineRollout(engine=Engine.LEGACY, composed_updates=frozenset({name}))

    @pytest.mark.parametrize(
        "text", ["queue:null,assignedTo:null", "queue:null , assignedTo:null", "assignedTo:null,,queue:null,"]
    )
    def test_several(self, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
        rollout = rollout_of(monkeypatch, **LEGACY_SET, COMPOSED_UPDATES=text)
        assert rollout.composed_updates == {"queue:null", "assignedTo:null"}

    @pytest.mark.parametrize(
        ("text", "most"),
        [
            ("api=2", {UpdateOrigin.API: 2}),
            ("api=2,router=3", {UpdateOrigin.API: 2, UpdateOrigin.ROUTER: 3}),
            ("router=1 , sync=4,", {UpdateOrigin.ROUTER: 1, UpdateOrigin.SYNC: 4}),
            ("", {}),
        ],
    )
    def test_limits_by_origin(
        self, monkeypatch: pytest.MonkeyPatch, text: str, most: Mapping[UpdateOrigin, int]
    ) -> None:
        assert rollout_of(monkeypatch, MAX_FIELDS=text).fields_max == most


class TestFaults:
    def test_all_errors_are_reported_at_once_each_with_its_remedy(self, monkeypatch: pytest.MonkeyPatch) -> None:
        lines = faults(monkeypatch, COMMAND_ENGINE="funnel", COMPOSED_UPDATES="queue:none", MAX_FIELDS="everyone=2")
        found = {line.partition(":")[0]: line for line in lines}
        assert set(found) == {"COMMAND_ENGINE", "COMPOSED_UPDATES", "MAX_FIELDS"}
        assert len(lines) == 3
        assert "set it to composed or legacy" in found["COMMAND_ENGINE"]
        assert "queue:none" in found["COMPOSED_UPDATES"]
        assert all(name in found["COMPOSED_UPDATES"] for name in FUNNEL_ROW_NAMES)
        assert "'everyone=2' must have the form ORIGIN=NUMBER with a number of 1 or more" in found["MAX_FIELDS"]
        assert all(f"{origin.value}=NUMBER" in found["MAX_FIELDS"] for origin in UpdateOrigin)

    @pytest.mark.parametrize("text", ["both", "funnel", "composed,legacy", "1"])
    def test_an_unknown_engine(self, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
        assert [line.partition(":")[0] for line in faults(monkeypatch, COMMAND_ENGINE=text)] == ["COMMAND_ENGINE"]

    def test_only_the_unknown_updates_are_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        [line] = faults(monkeypatch, COMPOSED_UPDATES="zebra,queue:null,assignedTo,Paused")
        assert line.startswith(
            "COMPOSED_UPDATES: 'zebra,queue:null,assignedTo,Paused' contains unknown updates: Paused, assignedTo, zebra"
        )

    @pytest.mark.parametrize(
        "text", ["api", "api=", "=2", "api=0", "api=-1", "api=2.5", "api=two", "api=²", "API=2", "api=2;router=3", "2"]
    )
    def test_a_malformed_limit(self, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
        [line] = faults(monkeypatch, MAX_FIELDS=text)
        assert line.startswith(f"MAX_FIELDS: {text!r} must have the form ORIGIN=NUMBER with a number of 1 or more")

    def test_a_bad_limit_among_good_ones(self, monkeypatch: pytest.MonkeyPatch) -> None:
        [line] = faults(monkeypatch, MAX_FIELDS="sync=4,api=none,router=3")
        assert "'api=none'" in line

    def test_every_bad_limit_is_named_at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        [line] = faults(monkeypatch, MAX_FIELDS="api=none,everyone=2,router=3")
        assert "'api=none'" in line
        assert "'everyone=2'" in line

    def test_an_origin_with_two_limits_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Otherwise chance would decide which of the two limits holds, at each start anew."""
        [line] = faults(monkeypatch, MAX_FIELDS="api=2,api=3")
        assert line.startswith("MAX_FIELDS: ")


async def synced(rollout: EngineRollout, **snapshot: Any) -> HandledEvent:
    """The ending of an event of a conversation whose work-item is assigned to u-1."""
    policy = PolicyInUse.LEGACY if rollout.engine is Engine.LEGACY else PolicyInUse.CAUSAL
    world = World(rollout=rollout, policy=policy).put(
        conversation(3), work_item(3, status="assigned", user="u-1", session="s-1")
    )
    return await world.one(event(conversation(4, **snapshot)))


def used(recorder: TelemetryRecorder) -> dict[str, int]:
    metric = Metric.COMMAND_USED.value
    return {
        name.removeprefix(f"{metric} "): count for name, count in recorder.counts.items() if name.startswith(metric)
    }


LEGACY = EngineRollout(engine=Engine.LEGACY)
SNOOZED: Json = {"users": ("u-1",), "status": "snoozed"}
"""A snoozed conversation that is assigned to the work-item's agent."""


class TestUsage:
    @pytest.mark.parametrize(
        ("rollout", "snapshot", "tags"),
        [
            (DEFAULT_ROLLOUT, SNOOZED, "composed=true count=1 engine=composed fields=paused origin=sync"),
            (LEGACY, SNOOZED, "composed=false count=1 engine=legacy fields=paused origin=sync"),
            (
                replace(LEGACY, composed_updates=frozenset({"paused"})),
                SNOOZED,
                "composed=true count=1 engine=composed fields=paused origin=sync",
            ),
            (
                DEFAULT_ROLLOUT,
                {"users": ("u-2",), "queue": "q-1", "status": "snoozed"},
                "composed=true count=3 engine=composed fields=assignedTo+paused+queue origin=sync",
            ),
            (
                LEGACY,
                {"users": (), "status": "snoozed"},
                "composed=false count=3 engine=legacy fields=assignedTo+paused+queue origin=sync",
            ),
        ],
        ids=["composed", "legacy", "rolled out", "three", "three, legacy"],
    )
    async def test_fields_count_origin_engine_and_way(
        self, rollout: EngineRollout, snapshot: dict[str, Any], tags: str
    ) -> None:
        recorder = TelemetryRecorder()
        log_handled([await synced(rollout, **snapshot)], recorder.telemetry)
        assert used(recorder) == {tags: 1}

    async def test_the_fields_of_a_refused_update_are_counted_too(self) -> None:
        recorder = TelemetryRecorder()
        end = await synced(
            EngineRollout(fields_max={UpdateOrigin.SYNC: 2}), users=("u-2",), queue="q-1", status="snoozed"
        )
        assert code_of(end) == "TOO_MANY_FIELDS"
        log_handled([end], recorder.telemetry)
        assert used(recorder) == {"composed=true count=3 engine=composed fields=assignedTo+paused+queue origin=sync": 1}
        assert recorder.total(Metric.REFUSED) == 1

    async def test_an_event_that_asks_nothing_of_the_commands_counts_nothing(self) -> None:
        recorder = TelemetryRecorder()
        log_handled([await synced(DEFAULT_ROLLOUT, users=("u-1",))], recorder.telemetry)
        assert recorder.total(Metric.COMMAND_USED) == 0

    @pytest.mark.parametrize("origin", UpdateOrigin, ids=lambda origin: origin.value)
    async def test_updates_are_told_apart_by_where_they_came_from(self, origin: UpdateOrigin) -> None:
        recorder = TelemetryRecorder()
        end = await synced(DEFAULT_ROLLOUT, **SNOOZED)
        assert end.audit.command is not None
        command = replace(end.audit.command, origin=origin, fields=("status", "queue", "paused"))
        for _ in range(2):
            log_handled([replace(end, audit=replace(end.audit, command=command))], recorder.telemetry)
        tags = f"composed=true count=3 engine=composed fields=paused+queue+status origin={origin.value}"
        assert used(recorder) == {tags: 2}

    async def test_the_audit_line_says_the_way_and_what_was_dropped_is_what_is_missing(self) -> None:
        recorder = TelemetryRecorder()
        log_handled([await synced(LEGACY, users=(), status="snoozed")], recorder.telemetry)
        [line] = recorder.lines
        assert line["command"]["engine"] == "legacy"
        assert line["command"]["name"] == "dequeueCommandParams"
        assert line["command"]["actions"] == ["DeQueue"]
        assert sorted(line["command"]["fields"]) == ["assignedTo", "paused", "queue"]
