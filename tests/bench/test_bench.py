"""The benchmark measures what it says: its loads, its endpoint, its steps. No figure is asserted."""

from collections.abc import Iterator
from datetime import UTC, datetime

import orjson
import pytest

from tests.bench.decisions import decisions
from tests.bench.endpoint.process import BenchEndpoint
from tests.bench.loads.template import template
from tests.bench.loads.workload import LoadKind, names_of, workload
from worker.aws.clients import sqs_client
from worker.aws.sqs import SqsQueue, read_facts
from worker.ports import AwsEndpoint
from worker.runtime.clock import SystemClock
from worker.store.documents import Collection


@pytest.fixture
def endpoint() -> Iterator[BenchEndpoint]:
    with BenchEndpoint() as server:
        yield server


@pytest.mark.parametrize("name", ["assign", "snooze", "queue"])
def test_every_sync_leads_to_one_announcement(name: str) -> None:
    assert template(name).announces


@pytest.mark.parametrize("name", ["own", "unshared"])
def test_the_other_events_lead_to_none(name: str) -> None:
    assert not template(name).announces


@pytest.mark.parametrize("name", ["own", "unshared", "assign", "snooze", "queue"])
def test_bodies_have_the_size_that_productions_have(name: str) -> None:
    body = template(name).body
    assert 3_100 < len(orjson.loads(body)["Message"]) < 3_600
    assert 4_400 < len(body) < 5_200


def test_names_are_as_long_as_the_ids_that_take_their_places() -> None:
    assert all(len(name) == len(key) for name, key in names_of(12).items())


def test_a_mix_has_its_shares_and_a_pair_for_every_event_that_needs_one() -> None:
    load = workload(LoadKind.MIX, 200, seed=1, warm_up=100, now=datetime(2026, 1, 5, tzinfo=UTC))
    assert (len(load.warm_up), len(load.bodies)) == (100, 200)
    assert (load.warm_up_announced, load.announced) == (5, 10)
    assert len(load.documents[Collection.CONVERSATIONS]) == 60
    assert load == workload(LoadKind.MIX, 200, seed=1, warm_up=100, now=datetime(2026, 1, 5, tzinfo=UTC))


def test_every_step_of_deciding_is_measured() -> None:
    steps = decisions(seed=1, events=3, seconds=0.001)
    assert {step.kind for step in steps} == {LoadKind.OWN, LoadKind.UNSHARED, LoadKind.SYNCS}
    assert all(step.us > 0 for step in steps)


async def test_the_endpoint_serves_the_workers_own_client(
    endpoint: BenchEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    where = AwsEndpoint(region="us-east-1", url=endpoint.url)
    url = f"{endpoint.url}/000000000000/q"
    async with sqs_client(where, read_timeout_s=10, connections_max=2) as client:
        facts = await read_facts(client, url)
        queue = SqsQueue(
            client=client,
            polling=client,
            settling=client,
            url=url,
            dead_letter_url=facts.dead_letter_url,
            clock=SystemClock(),
        )
        endpoint.stage("q", [f"body {number}" for number in range(15)])
        assert await queue.receive(wait_s=0) == []
        endpoint.release("q")
        messages = [*await queue.receive(wait_s=20), *await queue.receive(wait_s=20)]
        answers = await queue.delete_batch([message.receipt for message in messages[:10]])
        answers = [*answers, *await queue.delete_batch([message.receipt for message in messages[10:]])]
    assert sorted(message.body for message in messages) == sorted(f"body {number}" for number in range(15))
    assert answers == [None] * 15
    drained = endpoint.drained("q", published=0)
    assert drained.calls == {"ReceiveMessage": 2, "DeleteMessageBatch": 2}
