"""The parts of a soak: each finds what is wrong, on the smallest input."""

from collections.abc import Callable, Sequence
from random import Random
from typing import Any, Final

import orjson
import pytest
from pymongo import MongoClient
from pymongo.database import Database

from handlers.documents.document import document_from_snapshot
from mongod import Mongod
from tests.causality.outside import conversation_written, touched
from tests.faults.load.document_writer import OutsideWrite, stamped
from tests.faults.soak.command import faults_of, main
from tests.faults.soak.event_count import EventCount
from tests.faults.soak.pair_check import PairCheck
from tests.faults.soak.process_usage import ProcessUsage
from tests.faults.soak.reading import SoakResult, SystemReading
from tests.faults.soak.soak_services import SoakServices
from tests.faults.soak.trend import trend

MB = 1_000_000


def test_bursts_do_not_bend_the_line() -> None:
    times = [float(second) for second in range(600)]
    bursts = [100.0 + (30 if second % 7 == 0 else 0) + second % 3 for second in range(600)]
    fitted = trend(times, bursts, warm_up_s=60)
    assert abs(fitted.growth) < 0.1
    assert (fitted.first, fitted.last, fitted.level) == (130, 102, 101)


def test_a_small_leak_shows_through_the_bursts() -> None:
    times = [float(second) for second in range(600)]
    leaking = [100.0 + (30 if second % 7 == 0 else 0) + second % 3 + second / 100 for second in range(600)]
    fitted = trend(times, leaking, warm_up_s=60)
    assert fitted.per_hour == pytest.approx(36, rel=0.02)
    assert fitted.growth == pytest.approx(5.4, rel=0.02)


def test_the_warm_up_does_not_count() -> None:
    warming = [float(min(second, 100)) for second in range(200)]
    assert trend(list(range(200)), warming, warm_up_s=100).growth == 0
    with pytest.raises(ValueError, match="2 readings after a warm-up of 198 s: run longer"):
        trend(list(range(200)), warming, warm_up_s=198)


Rising = Callable[[int], float]


def _steady(value: float) -> Rising:
    return lambda _: value


STEADY: Final[dict[str, Rising]] = {
    "memory": _steady(100),
    "descriptors": _steady(30),
    "threads": _steady(11),
    "outbox": _steady(3),
    "connections": _steady(40),
}


def readings(count: int = 100, *, every_s: float = 1.0, **rising: Rising) -> list[SystemReading]:
    """Readings of one worker, whose memory is in MB. A figure that is not given stands still."""
    read = STEADY | rising

    def usage(number: int) -> ProcessUsage:
        return ProcessUsage(
            resident_bytes=round(read["memory"](number) * MB),
            descriptors=int(read["descriptors"](number)),
            threads=int(read["threads"](number)),
            cpu_s=number / 10,
        )

    return [
        SystemReading(
            at_s=number * every_s,
            workers=[usage(number)],
            queue_server=usage(number),
            mongod=usage(number),
            load=usage(number),
            handled=number * 100,
            messages=number * 100,
            depth=500,
            outbox=int(read["outbox"](number)),
            connections=int(read["connections"](number)),
            documents=number,
            load_average=1.0,
        )
        for number in range(count)
    ]


@pytest.mark.parametrize(
    ("some", "said"),
    [
        (readings(), []),
        (readings(memory=lambda number: 100 + number / 5), ["worker 1: memory, MB grew by 9.8"]),
        (readings(memory=lambda number: 100 + number / 20), []),
        (readings(memory=lambda number: 100 + number / 25, every_s=30), ["worker 1: memory, MB grew by 3.2"]),
        (readings(descriptors=lambda number: 30 + number // 4), ["worker 1: descriptors grew by 12"]),
        (readings(descriptors=lambda number: 30 + number // 30, every_s=30), ["worker 1: descriptors grew by 2."]),
        (readings(threads=lambda number: 11 + number // 5), ["worker 1: threads grew by 9.8"]),
        (readings(connections=lambda number: 40 + number // 5), ["connections to mongod grew by 9.8"]),
        (readings(outbox=lambda number: 2 * number), ["outbox, events grew by 98.0"]),
    ],
    ids=["flat", "memory", "settling", "settled", "descriptors", "slowly", "threads", "connections", "outbox"],
)
def test_what_grows_is_named(some: Sequence[SystemReading], said: list[str]) -> None:
    found = list(faults_of(SoakResult(readings=some, counts={}, wrong=[])))
    assert [each.startswith(start) for each, start in zip(found, said, strict=True)] == [True] * len(said)


def audit(event_id: str, rev: int, *, outcome: str = "skipped", work_item: str | None = None) -> bytes:
    side = "conversation" if work_item is None else "work-item"
    event = {"id": event_id, "name": f"kustomer.{side}.update", "rev": rev}
    line = {"msg": "CONVERSATION_SYNC_AUDIT", "level": 30, "outcome": outcome, "conversationId": "c1"}
    return orjson.dumps({**line, "workItemId": work_item, "event": event, "trigger": side})


def test_an_event_without_its_audit_line_is_lost() -> None:
    count = EventCount()
    count.expect("c1-1")
    count.expect("c1-w1-2")
    count.take(audit("c1-1", 1))
    count.take(audit("c1-w1-2", 2, work_item="c1-w1", outcome="failed"))
    assert count.lost() == ["c1-w1-2"]
    assert not count.quiet("c1")
    count.take(audit("c1-w1-2", 2, work_item="c1-w1"))
    count.take(audit("fresh-id-of-a-sync", 3, work_item="c1-w1"))
    assert count.quiet("c1")
    assert count.revisions("c1") == {"c1": {1}, "c1-w1": {2, 3}}
    assert (count.handled, count.outstanding, dict(count.outcomes)) == (4, 0, {"skipped": 3, "failed": 1})


def test_warnings_and_garbage_in_the_log_are_wrong() -> None:
    count = EventCount()
    count.take(b'{"msg": "message dead-lettered", "level": 40}')
    count.take(b'{"msg": "a batch met a fault in our code", "level": 50}')
    count.take(b"Traceback (most recent call last):")
    [fault, garbage] = count.unwanted()
    assert fault == ("a batch met a fault in our code", 1)
    assert garbage[0].startswith("no JSON: b'Traceback")


class _Delivery:
    abandoned = False

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def deliver(self, event: dict[str, Any]) -> None:
        self.events.append(event)


@pytest.fixture
def check(mongod: Mongod) -> Any:
    """A check of one conversation that was created and closed; both its events were handled."""
    count, delivery = EventCount(), _Delivery()
    services = SoakServices(
        uri=mongod.uri,
        database="soak",
        delivery=delivery,
        random=Random(1),
        per_second=0,
        pairs=1,
        count=count,
        backlog=1,
    )
    data = {"id": "c1", "type": "conversation", "relationships": {}}
    attributes = {
        "rev": 1,
        "status": "open",
        "assignedUsers": [],
        "ended": False,
        "updatedAt": "2024-05-06T07:08:09.000Z",
    }
    created = stamped(document_from_snapshot({**data, "attributes": attributes}, org="org", rev=1))
    closed = conversation_written(created, {"status": "done"})
    assert closed is not None
    case = services.new_pair("c1")
    services.publish(case, OutsideWrite(before=None, after=created))
    services.publish(case, OutsideWrite(before=created, after=stamped(closed)))
    for event in delivery.events:
        count.take(audit(event["id"], event["data"]["attributes"]["rev"]))
    client: MongoClient[dict[str, Any]] = MongoClient(mongod.uri)
    with client:
        client.drop_database("soak")
        database: Database[dict[str, Any]] = client["soak"]
        database["conversations"].insert_one({**stamped(closed)})
        yield PairCheck(database=database, services=services, count=count)
        client.drop_database("soak")


@pytest.mark.thorough
def test_a_pair_that_keeps_the_contract_passes(check: PairCheck) -> None:
    assert check.at_the_end() == []
    assert check.checked == {"c1": 2}


def test_a_write_whose_event_never_came_is_found(check: PairCheck) -> None:
    stored = check.database["conversations"].find_one({"_id": "c1"})
    assert stored is not None
    check.database["conversations"].replace_one({"_id": "c1"}, touched(stored))
    assert check.at_the_end() == ["c1: no event of its revisions 3 was handled"]


def test_a_write_after_the_check_is_found(check: PairCheck) -> None:
    assert check.at_the_end() == []
    check.database["conversations"].update_one({"_id": "c1"}, {"$set": {"rev": 3}})
    assert check.at_the_end()[-1] == "c1: revision 3 after its check at 2"


def test_a_field_that_still_waits_is_found(check: PairCheck) -> None:
    check.database["sync_states"].insert_one({"_id": "c1", "waitingSince": "2024-05-06T07:08:09.000Z"})
    assert check.at_the_end() == ["c1: a field waits although every event was delivered"]


def test_a_run_too_short_for_a_line_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--minutes", "0.1"])
    assert ended.value.code == 2
    assert (
        "--minutes 0.1 leaves 1 readings: take at least 1 minutes, or a shorter --interval" in capsys.readouterr().err
    )
