"""Workers of the last version and of this one on one queue and one database: what each makes of the states that the
other wrote, and a rolling upgrade in a small form. The long one is among the faults (`make faults FAULTS=upgrade`)."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from itertools import product
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest
from msgspec.structs import replace

from handlers.documents.document_mapping import conversation_of, work_item_of
from mongod import Mongod
from sync.contract import violations
from sync.conversation import Field
from sync.state.sync_state import DoneBy, RecordedWait, SyncState, Waiting
from tests.causality.outside import conversation_written, touched, work_item_created, work_item_updated
from tests.e2e.stage import Stage
from tests.e2e.worker_process import WorkerProcess
from tests.faults.fault_run import fault_run
from tests.faults.load.document_writer import OutsideWrite, now, stamped
from tests.faults.load.event_delivery import wrapped
from tests.faults.load.outside_services import OutsideServices, conversation_created
from tests.faults.load.written_pair import WrittenPair
from tests.faults.services.forked_worker import ForkedWorker
from tests.faults.upgrade_run import upgrade
from tests.releases.last_release import lacking_history, last_release
from tests.releases.rolling_fleet import UPGRADE, Version
from tests.releases.worker_at_commit import worker_at
from worker.store.state_document import state_document, state_of

EVENTS: Final = 300
POLICIES: Final = ("legacy", "shadow", "causal")
SINCE: Final = datetime(2026, 1, 5, 9, tzinfo=UTC)

Kinds = Mapping[Version, type[WorkerProcess]]


@pytest.fixture
def kinds(tmp_path: Path) -> Kinds:
    """The workers of the last version and of this one."""
    release = last_release()
    lacking = lacking_history(release.commit)
    if lacking is not None:
        pytest.skip(lacking)
    return {"old": worker_at(release.commit, tmp_path / "old"), "new": ForkedWorker}


class DelayedOwners:
    """The services that own the records of some pairs: they write MongoDB, and deliver the events when a test says."""

    def __init__(self, stage: Stage, kinds: Kinds) -> None:
        self.stage = stage
        self.kinds = kinds
        self.pairs: dict[str, WrittenPair] = {}
        # No wait ends by time, and no document counts as old. One receiver keeps the order of the events.
        stage.variables |= {"SYNC_GAP_SECONDS": "3600", "RECEIVERS": "1"}

    def created(self, key: str) -> Iterator[dict[str, Any]]:
        """A conversation with its work-item, then an agent on the conversation."""
        self.pairs[key] = WrittenPair(key=key, random=Random(0), items=1)
        yield self._write(key, "conversations", conversation_created(key))
        item = stamped(work_item_created(key, 1, 1, now(), key=f"{key}-w1"))
        yield self._write(key, "work_items", OutsideWrite(before=None, after=item, known_rev=1))
        yield self._conversation(key, {"assignedUsers": ["u1"]})

    def crossed(self, key: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """The events of two writes that do not know of each other: the work-item goes back to a queue, and the
        conversation to another agent, which is the one that counts."""
        conversation, item = self.stored(key)
        freed = work_item_updated(item, {"queue": "q1", "assignedTo": None}, now())
        assert freed is not None
        write = OutsideWrite(before=item, after=stamped(freed), known_rev=conversation["rev"])
        return self._write(key, "work_items", write), self._conversation(key, {"assignedUsers": ["u2"]})

    def stored(self, key: str) -> tuple[dict[str, Any], dict[str, Any]]:
        database = self.stage.database
        conversation, item = database["conversations"].find_one(key), database["work_items"].find_one(f"{key}-w1")
        assert conversation is not None
        assert item is not None
        return conversation, item

    @contextmanager
    def worker(self, version: Version, policy: str) -> Iterator[None]:
        """One worker of the version, until SIGTERM."""
        self.stage.kind = self.kinds[version]
        worker = self.stage.worker(SYNC_POLICY=policy)
        worker.wait_ready()
        yield
        assert worker.terminate()[0] == 0

    def deliver(self, *events: dict[str, Any]) -> None:
        """Sends the events in this order, and waits until they are handled.

        Straight into the queue, as SNS would: SNS delivers after it has answered, and two events in any order.
        """
        self.stage.send([json.dumps({"Type": "Notification", "Message": json.dumps(wrapped(each))}) for each in events])
        self.stage.wait_drained(within_s=60)

    def broken(self, key: str) -> set[Field]:
        """The fields of which the stored pair breaks a promise."""
        conversation, item = self.stored(key)
        found = violations(self.pairs[key].history, conversation_of(conversation), work_item_of(item))
        return {each.field for each in found}

    def _conversation(self, key: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        before = self.stage.database["conversations"].find_one(key)
        assert before is not None
        after = conversation_written(before, fields, now())
        assert after is not None
        return self._write(key, "conversations", OutsideWrite(before=before, after=stamped(after)))

    def _write(self, key: str, collection: str, write: OutsideWrite) -> dict[str, Any]:
        self.stage.database[collection].replace_one({"_id": write.after["_id"]}, write.after, upsert=True)
        return self.pairs[key].record(write)


@pytest.mark.parametrize(("first", "second"), [("old", "new"), ("new", "old")], ids=["upgrade", "roll back"])
def test_each_version_goes_on_from_the_others_states_under_every_policy(
    stage: Stage, kinds: Kinds, first: Version, second: Version
) -> None:
    """Of two writes that cross, the later one under `legacy` or `shadow` loses the agent, and the audit's contract says
    so: the guard taken out. Under `causal` it is kept, whichever version and policy wrote the state."""
    owners = DelayedOwners(stage, kinds)
    waiting: dict[str, dict[str, Any]] = {}
    for before in POLICIES:
        keys = [f"{before} {when} {after}" for when in ("then", "until") for after in POLICIES]
        with owners.worker(first, before):
            owners.deliver(*(event for key in keys for event in owners.created(key)))
            # Of half of the pairs the restart comes between the two events: under `causal` the pair waits.
            crossed = {key: owners.crossed(key) for key in keys if "until" in key}
            owners.deliver(*(item for item, _ in crossed.values()))
        waiting |= {key: conversation for key, (_, conversation) in crossed.items()}
    assert {key for key in owners.pairs if _waits(stage, key)} == {f"causal until {after}" for after in POLICIES}

    for after in POLICIES:
        with owners.worker(second, after):
            owners.deliver(*(waiting[f"{before} until {after}"] for before in POLICIES))
            owners.deliver(*(event for before in POLICIES for event in owners.crossed(f"{before} then {after}")))
    for before, after in product(POLICIES, POLICIES):
        assert ("assignee" in owners.broken(f"{before} then {after}")) is (after != "causal"), (before, after)
        assert ("assignee" in owners.broken(f"{before} until {after}")) is (before != "causal"), (before, after)
    for before in POLICIES:
        assert owners.broken(f"{before} then causal") == set()
    assert owners.broken("causal until causal") == set()
    assert not [key for key in owners.pairs if _waits(stage, key)]


def test_what_the_last_version_keeps_of_a_state_that_this_version_wrote(stage: Stage, kinds: Kinds) -> None:
    """docs/operations.md, *Old and new versions side by side*, tells it."""
    owners = DelayedOwners(stage, kinds)
    database = stage.database
    for key in ("same", "next"):
        list(owners.created(key))
    _, item = owners.stored("same")
    known = SyncState(
        version=4,
        conversation_observed=((1, 1),),
        conversation_floor=50,
        conversation_inserted=True,
        conversation_rev=2,
        work_item="same-w1",
        work_item_number=1,
        work_item_observed=((1, 1),),
        work_item_rev=1,
        work_item_floor=60,
        known={"assignee": 1},
        known_at={"assignee": 1},
        touched={"queue": 1},
        done_by=DoneBy(number=0, rev=1),
        waiting=Waiting(since=SINCE, conversation_rev=2, work_item_rev=1),
        recorded_wait=RecordedWait(id="same-w0:0:25", rev=1),
    )
    of_next = replace(known, work_item="next-w1")
    database["sync_states"].insert_many([state_document("same", known), state_document("next", of_next)])
    after = stamped(touched(item))
    database["work_items"].replace_one({"_id": "same-w1"}, after)
    completed = work_item_updated(owners.stored("next")[1], {"status": "completed"}, now())
    assert completed is not None
    created = stamped(work_item_created("next", 2, 1, now(), key="next-w2"))
    database["work_items"].replace_one({"_id": "next-w1"}, stamped(completed))
    database["work_items"].insert_one(dict(created))
    same = owners.pairs["same"].record(OutsideWrite(before=item, after=after, known_rev=1))
    new_item = owners.pairs["next"].record(OutsideWrite(before=None, after=created, known_rev=1))
    with owners.worker("old", "causal"):
        owners.deliver(same, new_item)

    kept = _state(stage, "same")
    assert (kept.version, kept.work_item_observed) == (5, ((1, 2),)), "the old worker has written it"
    assert (kept.touched, kept.done_by, kept.recorded_wait) == (known.touched, known.done_by, known.recorded_wait)
    assert kept.waiting == known.waiting
    assert (kept.conversation_floor, kept.work_item_floor, kept.conversation_inserted) == (0, 0, False), "not kept"
    following = _state(stage, "next")
    assert (following.work_item, following.work_item_observed) == ("next-w2", ((1, 1),))
    assert following.touched == {}
    assert following.waiting == Waiting(since=SINCE, conversation_rev=2, work_item_rev=0)


@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
def test_a_small_rolling_upgrade_and_roll_back(stage: Stage, mongod: Mongod, kinds: Kinds, tmp_path: Path) -> None:
    fleets = (*UPGRADE, ("old", "new"), ("new", "new"))
    services = partial(OutsideServices, pairs=40, per_second=12)
    with fault_run(stage, uri=mongod.uri, name="upgrade", seed=1, services=services) as run:
        upgrade(run, fleets, folder=tmp_path / "again", events=EVENTS)


def _state(stage: Stage, key: str) -> SyncState:
    return state_of(stage.database["sync_states"].find_one({"_id": key}))


def _waits(stage: Stage, key: str) -> bool:
    return _state(stage, key).waiting is not None
