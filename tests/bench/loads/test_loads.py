"""The loads have production's size, the agreed mix, and a known number of announcements."""

from datetime import UTC, datetime

import orjson
import pytest

from tests.bench.loads.template import template
from tests.bench.loads.workload import LoadKind, names_of, workload
from worker.store.documents import Collection


@pytest.mark.parametrize("name", ["assign", "snooze", "queue"])
def test_every_sync_leads_to_one_announcement(name: str) -> None:
    assert template(name).announces


@pytest.mark.parametrize("name", ["own", "unshared"])
def test_other_events_lead_to_no_announcement(name: str) -> None:
    assert not template(name).announces


@pytest.mark.parametrize("name", ["own", "unshared", "assign", "snooze", "queue"])
def test_bodies_have_production_size(name: str) -> None:
    body = template(name).body
    assert 3_100 < len(orjson.loads(body)["Message"]) < 3_600
    assert 4_400 < len(body) < 5_200


def test_placeholders_are_as_long_as_the_ids_that_replace_them() -> None:
    assert all(len(name) == len(key) for name, key in names_of(12).items())


def test_a_mix_has_its_shares_and_a_pair_for_every_event_that_needs_one() -> None:
    load = workload(LoadKind.MIX, 200, seed=1, warm_up=100, now=datetime(2026, 1, 5, tzinfo=UTC))
    assert (len(load.warm_up), len(load.bodies)) == (100, 200)
    assert (load.warm_up_announced, load.announced) == (5, 10)
    assert len(load.documents[Collection.CONVERSATIONS]) == 60
    assert load == workload(LoadKind.MIX, 200, seed=1, warm_up=100, now=datetime(2026, 1, 5, tzinfo=UTC))
