"""A configured proxy and configured certificates apply to both transports."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import pytest

from tests.worker.aws.stand_ins.http_proxy import HttpProxy, own_certificate
from tests.worker.aws.stand_ins.scripted_service import Answer, scripted
from worker.aws.clients import aws_clients
from worker.aws.network import proxy_for
from worker.aws.sqs.message_queue import SqsQueue
from worker.errors import Misconfigured, QueueAway
from worker.runtime.clock import SystemClock
from worker.settings.settings import Settings

pytestmark = pytest.mark.thorough

Transport = Literal["http", "library"]
BOTH: tuple[Transport, ...] = ("http", "library")
SQS = "https://sqs.eu-central-1.amazonaws.com"
ARN = "arn:aws:sns:us-east-1:123456789012:any"


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    return own_certificate(tmp_path_factory.mktemp("certificate"))


@asynccontextmanager
async def _queue(url: str, transport: Transport) -> AsyncIterator[SqsQueue]:
    """The adapter of a queue at that address, with the worker's own clients."""
    settings = Settings(
        aws_region="us-east-1",
        aws_endpoint_url=url,
        sqs_queue_url=f"{url}/123456789012/q",
        sns_conversation_topic_arn=ARN,
        sns_work_item_topic_arn=f"{ARN}-other",
        sqs_transport=transport,
        mongodb_uri="mongodb://127.0.0.1:9/",
    )
    async with aws_clients(settings, SystemClock()) as clients:
        yield SqsQueue(
            client=clients.sqs,
            polling=clients.polling,
            settling=clients.settling,
            url=settings.sqs_queue_url,
            dead_letter_url=settings.sqs_queue_url,
            visibility_timeout_s=60,
            clock=SystemClock(),
        )


@pytest.mark.parametrize(
    ("variables", "proxy"),
    [
        ({}, None),
        ({"HTTPS_PROXY": "http://proxy:3128"}, "http://proxy:3128"),
        ({"https_proxy": "http://proxy:3128"}, "http://proxy:3128"),
        ({"HTTPS_PROXY": "proxy:3128"}, "http://proxy:3128"),
        ({"HTTPS_PROXY": "//proxy:3128"}, "http://proxy:3128"),
        ({"HTTPS_PROXY": "https://proxy"}, "https://proxy"),
        ({"HTTPS_PROXY": ""}, None),
        ({"HTTP_PROXY": "http://proxy:3128"}, None),
        ({"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "localhost,.amazonaws.com"}, None),
        ({"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "*"}, None),
        ({"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "example.com"}, "http://proxy:3128"),
    ],
    ids=str,
)
def test_the_proxy_comes_from_the_environment(
    variables: dict[str, str], proxy: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    found = proxy_for(SQS)
    assert (found and str(found).rstrip("/")) == proxy


@pytest.mark.parametrize("value", ["socks5://me:hunter2@proxy:1080", "http://", "http://me:hunter2@proxy:port"])
def test_an_address_that_is_no_http_proxy_is_named_without_its_password(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", value)
    with pytest.raises(Misconfigured, match=r"^HTTPS_PROXY: .*http://HOST:PORT$"):
        proxy_for(SQS)


@pytest.mark.parametrize("transport", BOTH)
async def test_configured_certificates_are_trusted(
    transport: Transport, certificate: tuple[Path, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file, tls = certificate
    config = tmp_path / "config"
    config.write_text(f"[default]\nca_bundle = {file}\n")
    for name, value in (("AWS_CA_BUNDLE", file), ("REQUESTS_CA_BUNDLE", file), ("AWS_CONFIG_FILE", config)):
        with monkeypatch.context() as patched:
            patched.setenv(name, str(value))
            async with (
                scripted("sqs", [(200, {}, {})], tls=tls) as (endpoint, _),
                _queue(endpoint.url, transport) as queue,
            ):
                assert (await queue.receive(wait_s=0)).messages == []


@pytest.mark.parametrize("transport", BOTH)
@pytest.mark.parametrize("value", [None, "", " "])
async def test_other_certificates_are_not_trusted(
    transport: Transport,
    value: str | None,
    certificate: tuple[Path, ssl.SSLContext],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if value is not None:
        monkeypatch.setenv("AWS_CA_BUNDLE", value)
    async with scripted("sqs", [], tls=certificate[1]) as (endpoint, script), _queue(endpoint.url, transport) as queue:
        with pytest.raises(QueueAway, match="certificate"):
            await queue.receive(wait_s=0)
        assert script.requests == []


@pytest.mark.parametrize("transport", BOTH)
@pytest.mark.parametrize("content", [None, "", "no certificate"])
async def test_a_file_without_certificates_is_an_error_at_start(
    transport: Transport, content: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "authorities.pem"
    if content is not None:
        file.write_text(content)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(file))
    with pytest.raises(Misconfigured, match=rf"^AWS_CA_BUNDLE {file}: .*: it must be a file of PEM certificates$"):
        async with _queue("http://127.0.0.1:9", transport):
            pass


async def test_a_missing_profile_is_an_error_at_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "none")
    with pytest.raises(Misconfigured, match=r"profile \(none\) could not be found: check AWS_PROFILE"):
        async with _queue("http://127.0.0.1:9", "http"):
            pass


@pytest.mark.parametrize("transport", BOTH)
async def test_https_calls_go_through_the_proxys_tunnel(
    transport: Transport, certificate: tuple[Path, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    file, tls = certificate
    monkeypatch.setenv("AWS_CA_BUNDLE", str(file))
    answers: list[Answer] = [(200, {}, {}), (200, {"Successful": [{"Id": "0"}]}, {})]
    async with HttpProxy() as proxy, scripted("sqs", answers, tls=tls) as (endpoint, _):
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:hunter2@{proxy.address}")
        async with _queue(endpoint.url, transport) as queue:
            assert (await queue.receive(wait_s=0)).messages == []
            assert await queue.delete_batch(["r"]) == [None]
        # One connection for polls and one for settling.
        first, second = proxy.heads
        assert first == second
        assert first.startswith(f"CONNECT {endpoint.url.removeprefix('https://')} ")
        assert "Proxy-Authorization: Basic bWU6aHVudGVyMg==" in first


@pytest.mark.parametrize("transport", BOTH)
async def test_no_proxy_excludes_an_address(
    transport: Transport, certificate: tuple[Path, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    file, tls = certificate
    monkeypatch.setenv("AWS_CA_BUNDLE", str(file))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    async with HttpProxy() as proxy, scripted("sqs", [(200, {}, {})], tls=tls) as (endpoint, _):
        monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy.address}")
        async with _queue(endpoint.url, transport) as queue:
            assert (await queue.receive(wait_s=0)).messages == []
        assert proxy.heads == []


@pytest.mark.parametrize("transport", BOTH)
async def test_http_calls_are_sent_to_the_proxy_itself(transport: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
    async with scripted("sqs", [(200, {}, {})]) as (proxy, script):
        monkeypatch.setenv("HTTP_PROXY", proxy.url.replace("http://", "http://me:hunter2@"))
        async with _queue("http://127.0.0.1:9", transport) as queue:
            assert (await queue.receive(wait_s=0)).messages == []
        (headers,) = script.headers
        assert headers["Host"] == "127.0.0.1:9"
        assert headers["Proxy-Authorization"] == "Basic bWU6aHVudGVyMg=="


@pytest.mark.parametrize("transport", BOTH)
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_that_refuses_is_the_queue_being_away_without_its_password(
    scheme: str, transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with HttpProxy(status=407) as proxy:
        monkeypatch.setenv(f"{scheme.upper()}_PROXY", f"http://me:hunter2@{proxy.address}")
        async with _queue(f"{scheme}://127.0.0.1:9", transport) as queue:
            with pytest.raises(QueueAway) as raised:
                await queue.receive(wait_s=0)
        assert "hunter2" not in str(raised.value)
        assert proxy.heads != []


async def test_a_proxy_that_is_away_is_named_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://me:hunter2@127.0.0.1:9")
    async with _queue("https://127.0.0.1:8", "http") as queue:
        with pytest.raises(QueueAway, match=r"proxy URL: \"127\.0\.0\.1:9\"$"):
            await queue.receive(wait_s=0)
