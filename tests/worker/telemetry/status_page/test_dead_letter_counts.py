"""The dead letters that a worker counts for its report: by code and reason, in bounded memory."""

from tests.worker.stand_ins.fake_clock import T0, FakeClock
from worker.ports.status import DEAD_LETTERS_MAX, DeadLetterCount
from worker.telemetry.status_page.dead_letter_counts import OTHER_REASONS, DeadLetterCounts


async def test_messages_are_counted_by_code_reason_and_event_and_sizes_do_not_count() -> None:
    clock = FakeClock()
    counts = DeadLetterCounts(clock)
    counts.note("TOO_LARGE", "1100000 bytes, the limit is 1048576", "other")
    counts.note("NOT_JSON", "the body is not JSON", "other")
    await clock.advance(60)
    counts.note("TOO_LARGE", "1200000 bytes, the limit is 1048576", "other")
    counts.note_given_up("STORED_DOCUMENT_UNREADABLE", "kustomer.conversation.update")
    assert [(each.code, each.reason, each.count) for each in counts.counts()] == [
        ("NOT_JSON", "the body is not JSON", 1),
        ("TOO_LARGE", "N bytes, the limit is 1048576", 2),
        ("NO_CODE", "STORED_DOCUMENT_UNREADABLE at each delivery", 1),
    ]
    assert counts.counts()[0].last == T0
    assert (counts.counts()[1].last - T0).total_seconds() == 60


def test_many_reasons_are_summed_up_and_no_message_is_left_out() -> None:
    counts = DeadLetterCounts(FakeClock())
    for number in range(1_000):
        counts.note("INVALID_FIELD", f"field-{number} " + "x" * 1_000, "kustomer.conversation.update")
    kept = counts.counts()
    assert len(kept) <= DEAD_LETTERS_MAX + 1
    assert sum(each.count for each in kept) == 1_000
    (rest,) = [each for each in kept if each.reason == OTHER_REASONS]
    assert rest == DeadLetterCount(code="INVALID_FIELD", reason=OTHER_REASONS, event="other", count=rest.count, last=T0)
    assert all(len(each.reason) <= 200 for each in kept)
