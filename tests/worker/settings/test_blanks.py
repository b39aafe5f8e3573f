"""Row 9: a blank or a line break around a value is refused at start, by the variable's name."""

import pytest

from tests.worker.settings.test_settings import GOOD
from worker.settings.reading import SettingErrors, read_settings
from worker.settings.sections.aws import AwsSettings
from worker.settings.settings import Settings
from worker.settings.table import SettingRow, setting_rows

BLANKS = [" ", "\n", "\r\n", "\t", "\u00a0", "\ufeff", "\x1b"]
ALLOWED = {
    "AWS_ENDPOINT_URL": "http://127.0.0.1:4566", "AWS_ENDPOINT_URL_SQS": "http://127.0.0.1:4566",
    "AWS_ENDPOINT_URL_SNS": "http://127.0.0.1:4566", "SYNC_POLICY": "legacy", "COMPOSED_UPDATES": "paused",
    "MAX_FIELDS": "api=2", "DD_DOGSTATSD_URL": "udp://agent:8125", "DD_DOGSTATSD_SOCKET": "/run/agent.sock",
    "DD_AGENT_HOST": "agent", "STATSD_HOST": "agent", "DD_ENV": "test", "DD_TAGS": "team:routing",
    "MONGODB_DATABASE": "routing",
}  # fmt: skip
"""A value for each variable whose default is not a value that can be written down."""


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for row in setting_rows():
        monkeypatch.delenv(row.name, raising=False)
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)


def _lines(kind: type[Settings] | type[AwsSettings] = Settings) -> list[str]:
    found = read_settings(kind)
    return list(found.lines) if isinstance(found, SettingErrors) else []


def _value(name: str, default: str) -> str:
    return GOOD.get(name) or ALLOWED.get(name) or default.strip("`")


@pytest.mark.parametrize("row", setting_rows(), ids=lambda row: row.name)
def test_row_9_each_setting_refuses_a_line_break_behind_its_value(
    row: SettingRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, default = row.name, row.default
    value = "false" if name == "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS" else _value(name, default)
    monkeypatch.setenv(name, value)
    assert _lines() == [], "the value without the line break is allowed"
    monkeypatch.setenv(name, f"{value}\n")
    (line,) = _lines()
    assert line.startswith(f"{name}: ")
    assert line.endswith(" ends with a line break: remove it, a value is used as it is set")


@pytest.mark.parametrize("blank", BLANKS, ids=repr)
def test_row_9_any_blank_is_refused_on_either_side_and_alone(blank: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for value in (f"{blank}routing", f"routing{blank}", blank):
        monkeypatch.setenv("MONGODB_DATABASE", value)
        (line,) = _lines()
        assert line.startswith(f"MONGODB_DATABASE: {value!r} ")
        assert " with a " in line


def test_row_9_a_line_break_inside_a_value_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONGODB_DATABASE", "a\nb")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "one\ntwo")
    assert sorted(_lines()) == [
        (
            "AWS_SECRET_ACCESS_KEY: it has a line break or another control character in it: "
            "remove it, a value is used as it is set"
        ),
        (
            "MONGODB_DATABASE: 'a\\nb' has a line break or another control character in it: "
            "remove it, a value is used as it is set"
        ),
    ]


@pytest.mark.parametrize("row", setting_rows(), ids=lambda row: row.name)
def test_row_9_bytes_that_are_no_text_are_refused_by_name(row: SettingRow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(row.name, "a\udcffb")
    assert any(
        line.startswith(f"{row.name}: ") and "has bytes in it that are not UTF-8" in line and "\udcff" not in line
        for line in _lines()
    )


@pytest.mark.parametrize(
    "name",
    [
        "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_DEFAULT_REGION",
        "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN", "AWS_CONFIG_FILE", "AWS_CA_BUNDLE", "HTTPS_PROXY", "MONGODB_URI",
    ],
)  # fmt: skip
def test_row_9_a_secret_with_a_line_break_is_named_and_not_shown(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "mongodb://me:hunter2@host/\n")
    assert _lines() == [f"{name}: it ends with a line break: remove it, a value is used as it is set"]


def test_row_9_every_verb_checks_the_variables_of_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token ")
    assert _lines(AwsSettings) == ["AWS_SESSION_TOKEN: it ends with a blank: remove it, a value is used as it is set"]


def test_row_9_the_variables_of_others_are_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PS1", "$ ")
    monkeypatch.setenv("AWS_PROFILE", "")
    assert _lines() == []
