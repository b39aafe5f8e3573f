"""The driver gets the whole connection string, and no error, setting or log shows it. No test connects."""

import ssl
from pathlib import Path
from typing import Any

import botocore
import pytest

from worker.errors import Misconfigured
from worker.mongo.client import mongo_client
from worker.settings.reading import read_settings
from worker.settings.settings import Settings

AUTHORITIES = Path(botocore.__file__).parent / "cacert.pem"
HOST = "mongodb://me:hunter2@db.example:27017/?replicaSet=rs0"


def _settings(monkeypatch: pytest.MonkeyPatch, uri: str) -> Settings:
    for name, value in {
        "AWS_REGION": "us-east-1",
        "SQS_QUEUE_URL": "http://queue/1/q",
        "SNS_CONVERSATION_TOPIC_ARN": "arn:aws:sns:us-east-1:1:c",
        "SNS_WORK_ITEM_TOPIC_ARN": "arn:aws:sns:us-east-1:1:w",
        "MONGODB_URI": uri,
    }.items():
        monkeypatch.setenv(name, value)
    settings = read_settings(Settings)
    assert isinstance(settings, Settings), settings
    return settings


async def _context(settings: Settings) -> Any:
    async with mongo_client(settings.mongodb_uri, settings.store_deadline_seconds) as client:
        # Every connection uses this context; the driver has no public access to it.
        return client.options.pool_options._ssl_context


async def test_the_connection_string_sets_tls_and_its_authority(monkeypatch: pytest.MonkeyPatch) -> None:
    context = await _context(_settings(monkeypatch, f"{HOST}&tls=true&tlsCAFile={AUTHORITIES}"))
    assert context is not None
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.cert_store_stats()["x509_ca"] > 10


async def test_without_an_option_there_is_no_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await _context(_settings(monkeypatch, HOST)) is None


async def test_an_ignored_option_without_tls_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = _settings(monkeypatch, f"{HOST}&maxPoolSize=hunter2")
    with pytest.warns(UserWarning, match="maxpoolsize") as warned:
        assert await _context(settings) is None
    assert "hunter2" not in str([one.message for one in warned])


def test_settings_never_show_the_connection_string(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = _settings(monkeypatch, "mongodb+srv://me:hunter2@cluster.example/?retryWrites=true")
    assert "hunter2" not in f"{settings!r} {settings} {settings.model_dump_json()}"


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ("tls=true&tlsCAFile=/no/such/hunter2.pem", "a file it names cannot be used"),
        ("tls=true&tlsCertificateKeyFile=/no/such/hunter2.pem", "a file it names cannot be used"),
        ("tls=true&tls=false", "the driver cannot use its option tls:"),
        ("authMechanism=MONGODB-X509&authSource=hunter2", "it cannot be read"),
        # The driver would only warn and ignore the option.
        ("tls=hunter2", "the driver cannot use its option tls:"),
        ("tls=true&tlsCAFil=hunter2", "the driver cannot use its option tlscafil:"),
    ],
)
async def test_an_unusable_string_is_one_line_that_does_not_quote_it(
    monkeypatch: pytest.MonkeyPatch, option: str, says: str
) -> None:
    settings = _settings(monkeypatch, f"{HOST}&{option}")
    with pytest.raises(Misconfigured) as raised:
        async with mongo_client(settings.mongodb_uri, settings.store_deadline_seconds):
            pass
    assert str(raised.value).startswith(f"MONGODB_URI: {says}")
    assert "hunter2" not in str(raised.value)
    assert "example" not in str(raised.value)


async def test_an_invalid_certificate_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("hunter2")
    settings = _settings(monkeypatch, f"{HOST}&tls=true&tlsCAFile={file}")
    with pytest.raises(Misconfigured, match="a file it names cannot be used") as raised:
        async with mongo_client(settings.mongodb_uri, settings.store_deadline_seconds):
            pass
    assert "hunter2" not in str(raised.value)
