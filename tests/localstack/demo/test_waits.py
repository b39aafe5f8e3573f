"""The demo's own clock: what the API tells of a wait is compared with what was seen from outside."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from demo.story import CHAT, KEPT_PLACE_S, SALES, SUPPORT, UpdateStep, story
from demo.waits import OwnClock, StepSpan, ToldWait, ToldWaits

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
TOLD = ToldWaits(
    waits=[
        ToldWait(queue=SALES, seconds=1, milliseconds=1_200, work_item="w-1"),
        ToldWait(queue=SUPPORT, seconds=41, milliseconds=41_100, work_item="w-1"),
    ],
    last_of_all=41_100,
)


def played() -> OwnClock:
    """A step takes half a second, and every step of the chat that enters or leaves a queue begins on a second."""
    clock = OwnClock()
    steps = [step for step in story() if step.enters or (isinstance(step, UpdateStep) and step.leaves)]
    for seconds, step in enumerate(steps):
        begun = NOON + timedelta(seconds=seconds)
        clock.note(step, StepSpan(begun, begun + timedelta(seconds=0.5)))
    return clock


def test_a_wait_lies_between_its_steps_and_a_kept_place_is_older() -> None:
    clock = played()
    assert clock.bounds_ms(SALES) == (499, 1_501)
    assert clock.bounds_ms(SUPPORT) == (KEPT_PLACE_S * 1_000 + 499, KEPT_PLACE_S * 1_000 + 1_501)


def test_waits_as_the_clock_saw_them_agree() -> None:
    assert played().agrees(TOLD, "w-1")


def changed(**fields: object) -> Callable[[ToldWaits], ToldWaits]:
    return lambda told: replace(told, waits=[replace(told.waits[0], **fields), told.waits[1]])


@pytest.mark.parametrize(
    "change",
    [
        changed(milliseconds=400, seconds=0),
        changed(milliseconds=1_600),
        changed(seconds=2),
        changed(work_item="w-2"),
        changed(queue="queue-other"),
        lambda told: replace(told, waits=told.waits[:1]),
        lambda told: replace(told, last_of_all=1_200),
    ],
    ids=["too short", "too long", "rounded up", "another work-item", "another queue", "a queue is missing", "not last"],
)
def test_any_other_figure_does_not_agree(change: Callable[[ToldWaits], ToldWaits]) -> None:
    assert not played().agrees(change(TOLD), "w-1")


def test_the_chat_enters_and_leaves_both_queues() -> None:
    steps = list(story())
    assert [step.enters.queue for step in steps if step.enters] == [SALES, SUPPORT]
    left = [step for step in steps if isinstance(step, UpdateStep) and step.leaves]
    assert [(step.leaves, step.conversation) for step in left] == [(SALES, CHAT), (SUPPORT, CHAT)]
