"""Settings: all errors at once, each with its remedy, and no secret repeated."""

from collections.abc import Mapping

import pytest

from handlers.options import PolicyInUse
from worker.settings.reading import SettingErrors, read_settings
from worker.settings.settings import Settings
from worker.settings.table import setting_rows, settings_table

GOOD = {
    "AWS_REGION": "us-east-1",
    "SNS_CONVERSATION_TOPIC_ARN": "arn:aws:sns:us-east-1:123456789012:conversation-events",
    "SNS_WORK_ITEM_TOPIC_ARN": "arn:aws:sns:us-east-1:123456789012:work-item-events.fifo",
    "SQS_QUEUE_URL": "http://127.0.0.1:4566/123456789012/routing-sync",
    "MONGODB_URI": "mongodb://127.0.0.1:27017/?replicaSet=rs0",
}


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for row in setting_rows():
        monkeypatch.delenv(row.name, raising=False)


def _read(monkeypatch: pytest.MonkeyPatch, variables: Mapping[str, str]) -> Settings | SettingErrors:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return read_settings(Settings)


def _faults(monkeypatch: pytest.MonkeyPatch, variables: Mapping[str, str]) -> list[str]:
    found = _read(monkeypatch, variables)
    assert isinstance(found, SettingErrors)
    return list(found.lines)


def test_the_required_settings_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = _read(monkeypatch, GOOD)
    assert isinstance(settings, Settings)
    assert (settings.receivers, settings.lanes, settings.batch_max, settings.in_hand_max) == (4, 2, 200, 800)
    assert settings.state_from_events is True
    assert settings.agent_address is None


def test_an_empty_variable_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = _read(monkeypatch, {**GOOD, "AWS_ENDPOINT_URL": "", "LANES": ""})
    assert isinstance(settings, Settings)
    assert settings.aws_endpoint_url is None
    assert settings.lanes == 2


def test_all_errors_are_reported_at_once_with_their_remedies(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = _faults(
        monkeypatch,
        {
            "RECEIVERS": "99",
            "LANES": "eight",
            "STATE_FROM_EVENTS": "maybe",
            "SYNC_POLICY": "guess",
            "IN_HAND_MAX": "5",
            "LOG_LEVEL": "loud",
            "SNS_WORK_ITEM_TOPIC_ARN": "work-items",
        },
    )
    found = {line.partition(":")[0]: line for line in lines}
    assert set(found) == {
        "AWS_REGION", "SNS_CONVERSATION_TOPIC_ARN", "SNS_WORK_ITEM_TOPIC_ARN", "SQS_QUEUE_URL", "MONGODB_URI",
        "RECEIVERS", "LANES", "STATE_FROM_EVENTS", "SYNC_POLICY", "IN_HAND_MAX", "LOG_LEVEL",
    }  # fmt: skip
    assert "set it to a whole number from 1 to 64" in found["RECEIVERS"]
    assert "set it to true or false" in found["STATE_FROM_EVENTS"]
    assert "set it to causal or legacy or shadow" in found["SYNC_POLICY"]
    assert "debug or info or warning or error" in found["LOG_LEVEL"]
    assert "routing-sync provision --env" in found["SQS_QUEUE_URL"]
    assert all("\n" not in line for line in lines)


@pytest.mark.parametrize(
    ("variables", "policy"),
    [
        ({}, PolicyInUse.CAUSAL),
        ({"SYNC_POLICY": "Shadow"}, PolicyInUse.SHADOW),
        ({"SYNC_POLICY": "legacy", "COMMAND_ENGINE": "legacy"}, PolicyInUse.LEGACY),
    ],
)
def test_the_policy(monkeypatch: pytest.MonkeyPatch, variables: Mapping[str, str], policy: PolicyInUse) -> None:
    settings = _read(monkeypatch, {**GOOD, **variables})
    assert isinstance(settings, Settings)
    assert settings.sync_policy is policy


@pytest.mark.parametrize(
    ("value", "transport"),
    [("http", "http"), ("HTTP", "http"), ("lean", "http"), ("Lean", "http"), ("library", "library")],
)
def test_the_transports_and_the_alias_of_http(monkeypatch: pytest.MonkeyPatch, value: str, transport: str) -> None:
    settings = _read(monkeypatch, {**GOOD, "SQS_TRANSPORT": value, "SNS_TRANSPORT": value})
    assert isinstance(settings, Settings)
    assert (settings.sqs_transport, settings.sns_transport) == (transport, transport)


def test_a_transport_that_does_not_exist_is_an_error_without_the_alias(monkeypatch: pytest.MonkeyPatch) -> None:
    [line] = _faults(monkeypatch, {**GOOD, "SQS_TRANSPORT": "curl"})
    assert line == "SQS_TRANSPORT: 'curl' is not one of the allowed values: set it to http or library"


@pytest.mark.parametrize("password", ["123/hunter2", "123?hunter2", "123/x@hunter2"])
def test_row_14_a_password_that_the_driver_would_take_for_a_host_is_refused(
    monkeypatch: pytest.MonkeyPatch, password: str
) -> None:
    [line] = _faults(monkeypatch, {**GOOD, "MONGODB_URI": f"mongodb://me:{password}@host/?replicaSet=rs0"})
    assert (
        line == "MONGODB_URI: it has an @ behind a / or ?: write %2F for a / in the password, %3F for a ?, %40 for an @"
    )
    monkeypatch.setenv("MONGODB_URI", "mongodb://me:hunter2@host/?authMechanismProperties=TOKEN_RESOURCE:a%40b")
    assert isinstance(read_settings(Settings), Settings)


@pytest.mark.parametrize(
    "uri",
    [
        "mongodb://host/?replicaSet=rs0&appName=team@prod",
        "mongodb://host?appName=team@prod",
        "mongodb://host:27017/routing?tlsCertificateKeyFile=/etc/certs/w@prod.pem",
    ],
)
def test_row_14_an_at_sign_in_an_option_is_no_password(monkeypatch: pytest.MonkeyPatch, uri: str) -> None:
    for name, value in {**GOOD, "MONGODB_URI": uri}.items():
        monkeypatch.setenv(name, value)
    assert isinstance(read_settings(Settings), Settings)


def test_a_secret_is_never_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = _faults(monkeypatch, {**GOOD, "MONGODB_URI": "postgres://me:hunter2@host"})
    assert lines[0].startswith("MONGODB_URI: ")
    assert "hunter2" not in "".join(lines)
    monkeypatch.setenv("MONGODB_URI", "mongodb://me:hunter2@host")
    assert "hunter2" not in repr(read_settings(Settings))


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        (
            {"RECEIVERS": "10", "IN_HAND_MAX": "55"},
            (
                "IN_HAND_MAX: '55' is less than 100, 10 for each of RECEIVERS 10: "
                "set it to at least 100, or RECEIVERS to at most 5"
            ),
        ),
        (
            {"COMMAND_ENGINE": "legacy"},
            "SYNC_POLICY: causal needs the composed engine: set COMMAND_ENGINE to composed, or SYNC_POLICY to legacy",
        ),
        (
            {"COMMAND_ENGINE": "legacy", "SYNC_POLICY": "Shadow"},
            "SYNC_POLICY: shadow needs the composed engine: set COMMAND_ENGINE to composed, or SYNC_POLICY to legacy",
        ),
        (
            {"RETRY_FIRST_SECONDS": "60", "RETRY_MAX_SECONDS": "5"},
            (
                "RETRY_MAX_SECONDS: '5' is less than RETRY_FIRST_SECONDS 60: "
                "set it to at least 60, or RETRY_FIRST_SECONDS to at most 5"
            ),
        ),
        (
            {"STORE_RETRY_FIRST_SECONDS": "20.5"},
            (
                "STORE_RETRY_MAX_SECONDS: 15 (the default) is less than STORE_RETRY_FIRST_SECONDS 20.5: "
                "set it to at least 20.5, or STORE_RETRY_FIRST_SECONDS to at most 15"
            ),
        ),
    ],
)
def test_settings_that_contradict_each_other(
    monkeypatch: pytest.MonkeyPatch, variables: Mapping[str, str], expected: str
) -> None:
    lines = _faults(monkeypatch, {**GOOD, **variables})
    assert lines == [expected]


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        (
            {"SYNC_POLICY": '"Causal"'},
            "SYNC_POLICY: '\"Causal\"' is not one of the allowed values: set it to causal or legacy or shadow",
        ),
        ({"LANES": "eight"}, "LANES: 'eight' should be a valid integer: set it to a whole number from 1 to 256"),
        (
            {"HEARTBEAT_SECONDS": "31"},
            "HEARTBEAT_SECONDS: '31' should be less than or equal to 30: set it to a number from 0 to 30",
        ),
        (
            {"HEARTBEAT_SECONDS": "0.5"},
            "HEARTBEAT_SECONDS: '0.5' is less than 1 s: set it to a number from 1 to 30, or to 0 for no heartbeats",
        ),
        ({"LANES": "0"}, "LANES: '0' should be greater than or equal to 1: "),
        ({"MONGODB_DATABASE": "a.b"}, "MONGODB_DATABASE: 'a.b' has the wrong format: "),
        ({"MONGODB_DATABASE": "x" * 99}, f"MONGODB_DATABASE: '{'x' * 58}… should have at most 63 characters: "),
        ({"MAX_FIELDS": "api=1,api=2"}, "MAX_FIELDS: 'api=1,api=2' has more than one limit for api: "),
    ],
)
def test_a_wrong_value_is_repeated(
    monkeypatch: pytest.MonkeyPatch, variables: Mapping[str, str], expected: str
) -> None:
    [line] = _faults(monkeypatch, {**GOOD, **variables})
    assert line.startswith(expected)


@pytest.mark.parametrize("name", ["MONGODB_DATABASE", "SQS_QUEUE_URL", "MAX_FIELDS", "COMPOSED_UPDATES"])
def test_a_secret_in_the_wrong_variable_is_not_repeated(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    [line] = _faults(monkeypatch, {**GOOD, name: "mongodb://me:hunter2@host"})
    assert "mongodb://***@host" in line
    assert "hunter2" not in line


def test_the_table_has_every_variable_once() -> None:
    names = [row.name for row in setting_rows()]
    assert sorted(names) == sorted(name.upper() for name in Settings.model_fields)
    table = settings_table(setting_rows())
    assert all(table.count(f"| `{name}` |") == 1 for name in names)
    assert "| `MONGODB_URI` | required |" in table
    assert all(row.meaning for row in setting_rows())
