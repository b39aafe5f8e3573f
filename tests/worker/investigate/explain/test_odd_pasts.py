"""Pasts that are asked of at odd times, un-assigned again and again, or longer than memory should hold."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest

from tests.handlers.wire_events import Json, changes, conversation, event
from tests.worker.investigate.explain.stories import Played, by_the_router, seen
from tests.worker.investigate.explain.test_explain import Story, explained, logged, played
from tests.worker.investigate.explain.test_lost_updates import read
from tests.worker.store.store_bench import MemoryBench
from worker.investigate.explain import log_files
from worker.investigate.explain.explanation import explain

_CAPTURE = Path(__file__).parents[3] / "fixtures/captured/incident-2022-03-02-lost-assignment"
_CONVERSATION = "621fc1d36a39b4aa389cb72b"


async def _again_and_again(on_it: Played, *, at: float | None = None) -> None:
    """Un-assigned in the app, assigned again: three times in all."""
    await seen(on_it)
    for number in range(3):
        rev, when = 5 + 2 * number, at if at is not None else 70 + 10 * number
        for users, before, step in (((), ["u-1"], 0), (("u-1",), [], 1)):
            if (number, step) == (2, 1):
                break
            wrote = changes({"assignedUsers": (before, list(users))})
            thing = event(conversation(rev + step, users=users, queue="q-1"), changes=wrote, client="app", at=when)
            await on_it.take(thing)


@pytest.mark.parametrize("at", [None, 70.0], ids=["seconds between", "in one millisecond"])
async def test_of_several_unassignments_the_last_is_told_and_how_many_there_were(at: float | None) -> None:
    async def story(on_it: Played) -> None:
        await _again_and_again(on_it, at=at)

    answer = (await explained(await _bench(story))).answer
    assert answer.text.endswith("; it was the last of 3 un-assignments of its work-items")
    assert "conversation 9 by client app" in answer.text
    assert (answer.rule, answer.event_id) == ("B3", "event-c-1-9-update")


async def _bench(story: Story) -> MemoryBench:
    bench = MemoryBench()
    await played(bench, story)
    return bench


async def test_a_time_that_has_not_come_is_told(tmp_path: Path) -> None:
    bench = MemoryBench()
    on_it = await played(bench, by_the_router)
    at, now = datetime(2999, 1, 1, tzinfo=UTC), on_it.clock.now()
    later = await explained(bench, at=at, now=now)
    assert later.answer.kind == "unassigned"
    assert any("2999-01-01T00:00:00.000Z has not come yet" in each for each in later.missing)
    past = await explained(bench, at=now + timedelta(hours=1), now=now + timedelta(hours=2))
    assert past.missing == (), "the store is read as it is now"
    of_log = explain("c-1", None, logged(tmp_path, on_it.lines), at=at)
    assert of_log.missing == (
        "the files say nothing of it after 2024-05-06T07:10:09.250Z, and 2999-01-01T00:00:00.000Z was asked for",
    )


def test_a_capture_without_audit_lines_says_what_it_holds_of_a_time() -> None:
    within = datetime(2022, 3, 2, 19, 13, 26, 400_000, tzinfo=UTC)
    capture = read(_CAPTURE / "events.ndjson")
    assert explain(_CONVERSATION, None, capture, at=within).missing == ()
    (early,) = explain(_CONVERSATION, None, capture, at=within - timedelta(days=1)).missing
    assert early.startswith("what is kept and logged says nothing before 2022-03-02T19:13:25.")


def test_of_a_pair_that_was_written_without_end_the_latest_lines_are_kept(tmp_path: Path) -> None:
    begin = datetime(2024, 5, 6, tzinfo=UTC)
    total = log_files.RECORDS_MAX + 100
    lines: list[Json] = [
        {"msg": "CONVERSATION_SYNC_AUDIT", "conversationId": "c-1", "outcome": "skipped",
         "time": (begin + timedelta(seconds=(number * 7_919) % total)).isoformat()} for number in range(total)
    ]  # fmt: skip
    log = tmp_path / "worker.log"
    log.write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))
    past = read(log, of="c-1")
    assert len(past.records) == log_files.RECORDS_MAX
    assert past.records[0].at == begin + timedelta(seconds=100)
    assert past.missing == (
        "the files hold 20,100 audit lines of it: those before 2024-05-06T00:01:40.000Z are left out",
    )
    assert "are left out" in explain("c-1", None, past).missing[0]
