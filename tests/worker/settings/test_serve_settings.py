"""The settings of the API: tokens, the loopback rule, and the queue that it does not need."""

import hashlib

import pytest

from tests.worker.settings.test_settings import GOOD
from worker.settings.api_tokens import Role
from worker.settings.reading import SettingErrors, read_settings
from worker.settings.table import serve_setting_rows, setting_rows, settings_table
from worker.settings.verbs.serve import ServeSettings, is_loopback

DIGEST = hashlib.sha256(b"a token").hexdigest()
OTHER = hashlib.sha256(b"another").hexdigest()


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for row in (*setting_rows(), *serve_setting_rows()):
        monkeypatch.delenv(row.name, raising=False)
    for name, value in GOOD.items():
        if name != "SQS_QUEUE_URL":
            monkeypatch.setenv(name, value)


def read(monkeypatch: pytest.MonkeyPatch, **variables: str) -> ServeSettings:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    settings = read_settings(ServeSettings)
    assert isinstance(settings, ServeSettings), settings
    return settings


def faults(monkeypatch: pytest.MonkeyPatch, **variables: str) -> tuple[str, ...]:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    errors = read_settings(ServeSettings)
    assert isinstance(errors, SettingErrors), errors
    return errors.lines


def test_without_any_only_loopback_is_served_and_no_queue_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read(monkeypatch)
    assert (settings.tokens, settings.api_host, settings.sqs_queue_url) == ((), "127.0.0.1", "")


def test_a_queue_that_is_set_is_checked_as_the_workers_is(monkeypatch: pytest.MonkeyPatch) -> None:
    [line] = faults(monkeypatch, SQS_QUEUE_URL="https://sqs.eu-west-3.amazonaws.com/1/q")
    assert line.startswith("SQS_QUEUE_URL: ")


def test_a_token_has_a_name_a_role_a_digest_and_perhaps_an_org(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read(monkeypatch, API_TOKENS=f"crm:write:{DIGEST.upper()}, router:router:{OTHER}:org-1,")
    crm, router = settings.tokens
    assert (crm.name, crm.role, crm.digest.hex(), crm.org) == ("crm", Role.WRITE, DIGEST, None)
    assert (router.name, router.role, router.org) == ("router", Role.ROUTER, "org-1")


@pytest.mark.parametrize(
    ("tokens", "wrong"),
    [
        ("crm", "its token 1 is not of the form"),
        (f"crm:write:{DIGEST},x", "its token 2 is not of the form"),
        (f"c m:write:{DIGEST}", "its token 1 is not of the form"),
        (f"crm:write:{DIGEST}:o:p", "its token 1 is not of the form"),
        (f"crm:admin:{DIGEST}", "its token crm has no role: read, write, router"),
        ("crm:write:secret", "its token crm has no SHA-256 digest"),
        (f"crm:write:{DIGEST}:", "its token crm has an org that is no id"),
        (f"crm:write:{DIGEST},crm:read:{OTHER}", "it names crm more than once"),
        (f"crm:write:{DIGEST},b:read:{DIGEST}", "it has one digest under two names"),
    ],
)
def test_a_wrong_token_is_named_and_not_repeated(monkeypatch: pytest.MonkeyPatch, tokens: str, wrong: str) -> None:
    [line] = faults(monkeypatch, API_TOKENS=tokens)
    assert line.startswith(f"API_TOKENS: {wrong}")
    assert line.endswith(": write each token as NAME:ROLE:SHA256, or NAME:ROLE:SHA256:ORG")
    assert DIGEST not in line
    assert "secret" not in line


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "example.org", "localhost.example.org"])
def test_another_host_than_loopback_needs_tokens(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    [line] = faults(monkeypatch, API_HOST=host)
    assert line == (
        f"API_HOST: {host!r} is not a loopback address, and API_TOKENS is not set: "
        "set API_TOKENS, or API_HOST to 127.0.0.1"
    )
    assert not is_loopback(host)
    assert read(monkeypatch, API_TOKENS=f"crm:write:{DIGEST}").api_host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost", "LOCALHOST"])
def test_loopback_needs_none(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    assert read(monkeypatch, API_HOST=host).api_host == host


def test_the_table_has_the_variables_that_the_worker_has_not() -> None:
    names = [row.name for row in serve_setting_rows()]
    assert names == [
        "API_TOKENS", "API_HOST", "API_PORT", "API_BODY_BYTES_MAX", "API_REQUESTS_PER_SECOND", "API_CONCURRENCY_MAX",
        "API_TIMEOUT_SECONDS",
    ]  # fmt: skip
    assert f"| `API_TOKENS` | none | {serve_setting_rows()[0].meaning} |" in settings_table(serve_setting_rows())
