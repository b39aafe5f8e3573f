"""The memory of a replay grows with the conversations of a capture, not with its events.

`python -m tests.worker.replay.test_volume EVENTS CONVERSATIONS` prints a capture, to measure a large one by hand.
"""

import gc
import json
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from handlers.options import Options
from tests.handlers.wire_events import Json, conversation, event, link, work_item
from tests.worker.replay.test_reenactment import change, changed
from worker.replay.captured_events import ReplayInput
from worker.replay.environment import ReplayMode
from worker.replay.modes import Replay, ReplayRequest, ReplayResult
from worker.replay.reports.json import JsonReport


def capture(events: int, conversations: int) -> Iterator[Json]:
    """Conversations side by side: each is created, then its work-item, then both are written in turns."""
    for number in range(events):
        turn, which = divmod(number, conversations)
        yield _event(turn, f"c-{which}", f"w-{which}", at=number * 0.02)


def _event(turn: int, of: str, item: str, *, at: float) -> Json:
    # A real snapshot is mostly fields that no rule reads.
    preview = "x" * 800
    if turn == 0:
        return event(conversation(1, key=of, queue="q-1", preview=preview), at=at)
    if turn == 1:
        return event(work_item(1, key=item, of=of, queue="q-1", status="queued", resourceRev=1), at=at)
    rev = (turn + 2) // 2
    if turn % 2 == 0:
        before, after = ([], ["u-1"]) if rev % 2 == 0 else (["u-1"], [])
        data = conversation(rev, key=of, queue="q-1", users=tuple(after), preview=preview)
        return event(data, at=at, changes=changed({"assignedUsers": change(before, after)}))
    data = work_item(rev, key=item, of=of, queue="q-1", status="queued", priority=turn)
    return event(
        data, at=at, changes=changed({"priority": change(turn - 2, turn)}, {"team": change(None, link("t", "1"))})
    )


@pytest.mark.thorough
@pytest.mark.parametrize("mode", [ReplayMode.OBSERVE, ReplayMode.SIMULATE])
async def test_memory_does_not_grow_with_the_events(tmp_path: Path, mode: ReplayMode) -> None:
    file = tmp_path / "capture.ndjson"
    file.write_text("".join(json.dumps(thing) + "\n" for thing in capture(400, 10)))
    counts: list[int] = []
    # The objects of other tests are not counted.
    gc.collect()
    gc.freeze()
    steps = count(1)

    def advance() -> None:
        if next(steps) % 50 == 0:
            gc.collect()
            counts.append(len(gc.get_objects()))

    asked = ReplayRequest(options=Options(own_syncs_stored=False), held_max=20)
    errors: list[str] = []
    with (tmp_path / "out").open("wb") as out, ReplayInput([file]) as source:
        replay = Replay(asked, source, JsonReport(out), print_error=errors.append, advance=advance)
        assert await replay.run(mode) == ReplayResult()
    assert errors == []
    # An event is some fifty objects; the last two hundred events add fewer than a thousand.
    assert len(counts) >= 8
    assert counts[-1] < counts[-5] + 1_000


if __name__ == "__main__":
    for thing in capture(int(sys.argv[1]), int(sys.argv[2])):
        sys.stdout.write(json.dumps(thing) + "\n")
