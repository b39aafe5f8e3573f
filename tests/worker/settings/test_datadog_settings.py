"""The agent's address and the tags, by the variables that the agent's users know."""

from collections.abc import Mapping

import pytest

from tests.worker.settings.test_settings import GOOD
from worker.settings.reading import SettingErrors, read_settings
from worker.settings.settings import Settings
from worker.settings.table import setting_rows
from worker.telemetry.agent.address import AgentAddress, UdpAddress, UnixAddress

SOCKET = "/var/run/datadog/dsd.socket"


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for row in setting_rows():
        monkeypatch.delenv(row.name, raising=False)


def _read(monkeypatch: pytest.MonkeyPatch, variables: Mapping[str, str]) -> Settings | SettingErrors:
    for name, value in {**GOOD, **variables}.items():
        monkeypatch.setenv(name, value)
    return read_settings(Settings)


@pytest.mark.parametrize(
    ("variables", "address"),
    [
        ({}, None),
        ({"STATSD_PORT": "9125", "DD_DOGSTATSD_PORT": "9125"}, None),
        ({"STATSD_HOST": "agent", "STATSD_PORT": "9125"}, UdpAddress(host="agent", port=9125)),
        ({"STATSD_HOST": f"unix://{SOCKET}"}, UnixAddress(path=SOCKET)),
        ({"DD_AGENT_HOST": "agent"}, UdpAddress(host="agent", port=8125)),
        ({"DD_AGENT_HOST": "agent", "DD_DOGSTATSD_PORT": "9125"}, UdpAddress(host="agent", port=9125)),
        ({"DD_DOGSTATSD_SOCKET": SOCKET, "DD_AGENT_HOST": "agent"}, UnixAddress(path=SOCKET)),
        ({"DD_DOGSTATSD_SOCKET": f"unix://{SOCKET}"}, UnixAddress(path=SOCKET)),
        ({"DD_DOGSTATSD_URL": f"unix://{SOCKET}", "DD_AGENT_HOST": "agent"}, UnixAddress(path=SOCKET)),
        ({"DD_DOGSTATSD_URL": "udp://agent:9125"}, UdpAddress(host="agent", port=9125)),
        ({"STATSD_HOST": "own", "DD_DOGSTATSD_URL": "udp://agent:9125"}, UdpAddress(host="own", port=8125)),
    ],
    ids=str,
)
def test_row_11_the_agents_address(
    monkeypatch: pytest.MonkeyPatch, variables: Mapping[str, str], address: AgentAddress | None
) -> None:
    settings = _read(monkeypatch, variables)
    assert isinstance(settings, Settings)
    assert settings.agent_address == address


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DD_DOGSTATSD_URL", "http://agent:8126"),
        ("DD_DOGSTATSD_URL", "agent"),
        ("DD_DOGSTATSD_SOCKET", "dsd.socket"),
        ("DD_DOGSTATSD_SOCKET", "unix://dsd.socket"),
        ("STATSD_HOST", "agent:8125"),
        ("DD_AGENT_HOST", "unix://dsd.socket"),
    ],
)
def test_row_11_an_address_that_no_agent_has_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    errors = _read(monkeypatch, {name: value})
    assert isinstance(errors, SettingErrors)
    (line,) = errors.lines
    assert line.startswith(f"{name}: ")
    assert ": set it to " in line


@pytest.mark.parametrize(
    ("variables", "tags"),
    [
        ({}, ["service:routing-worker", "version:unknown"]),
        (
            {"DD_ENV": "prod", "DD_SERVICE": "sync", "DD_VERSION": "7", "DD_TAGS": "team:routing, tier:2"},
            ["service:sync", "version:7", "env:prod", "team:routing", "tier:2"],
        ),
        ({"DD_TAGS": "team:routing  tier"}, ["service:routing-worker", "version:unknown", "team:routing", "tier"]),
        ({"DD_TAGS": "env:prod,service:sync", "DD_SERVICE": "own"}, ["service:own", "version:unknown", "env:prod"]),
    ],
    ids=str,
)
def test_row_11_the_tags(monkeypatch: pytest.MonkeyPatch, variables: Mapping[str, str], tags: list[str]) -> None:
    settings = _read(monkeypatch, variables)
    assert isinstance(settings, Settings)
    assert settings.metric_tags == tags
