"""Live updates, in virtual time."""

import asyncio

from msgspec.json import decode

from tests.worker.stand_ins.fake_clock import FakeClock, run_ready_tasks
from worker.api.pages.live import STREAMS_MAX, LiveStreams, Rendered, SharedRead


class Viewer:
    """Reads a stream in a task of its own."""

    def __init__(self, streams: LiveStreams, shown: list[str]) -> None:
        self.received: list[bytes] = []
        self._shown = shown
        self._streams = streams
        self.task = asyncio.ensure_future(self._read())

    async def _read(self) -> None:
        with self._streams.viewer():
            async for part in self._streams.stream(self._render):
                self.received.append(part)

    async def _render(self) -> Rendered:
        return Rendered(main=self._shown[-1], summary="s")

    @property
    def pages(self) -> list[str]:
        found = [part for part in self.received if part.startswith(b"event: page\ndata: ")]
        return [decode(part.partition(b"data: ")[2])["main"] for part in found]


async def test_a_page_is_sent_at_once_and_when_it_changed() -> None:
    clock, shown = FakeClock(), ["one"]
    viewer = Viewer(LiveStreams(clock, interval_s=2), shown)
    await run_ready_tasks()
    assert viewer.received[0] == b"retry: 2000\n\n"
    assert viewer.pages == ["one"]
    await clock.advance(6)
    assert viewer.pages == ["one"]
    shown.append("two\nlines")
    await clock.advance(2)
    assert viewer.pages == ["one", "two\nlines"]
    assert all(part.endswith(b"\n\n") and part[:-2].count(b"\n") <= 1 for part in viewer.received)
    viewer.task.cancel()
    await asyncio.wait([viewer.task])


async def test_a_quiet_stream_is_kept_open_by_beats_and_ends_after_ten_minutes() -> None:
    clock = FakeClock()
    streams = LiveStreams(clock, interval_s=2)
    viewer = Viewer(streams, ["one"])
    await run_ready_tasks()
    for _ in range(302):
        await clock.advance(2)
    assert viewer.task.done()
    assert streams.open == 0
    assert viewer.received.count(b"event: beat\ndata:\n\n") == 600 // 16
    assert viewer.pages == ["one"]


async def test_a_server_that_stops_ends_every_stream_and_opens_no_more() -> None:
    clock = FakeClock()
    streams = LiveStreams(clock, interval_s=2)
    viewers = [Viewer(streams, ["one"]) for _ in range(3)]
    await run_ready_tasks()
    assert streams.open == 3
    streams.close()
    await asyncio.wait([viewer.task for viewer in viewers])
    assert streams.open == 0
    assert streams.full


async def test_so_many_viewers_and_no_more() -> None:
    clock = FakeClock()
    streams = LiveStreams(clock)
    viewers = [Viewer(streams, ["one"]) for _ in range(STREAMS_MAX)]
    await run_ready_tasks()
    fullness = [streams.full]
    viewers[0].task.cancel()
    await run_ready_tasks()
    fullness.append(streams.full)
    assert fullness == [True, False]
    streams.close()
    await asyncio.wait([viewer.task for viewer in viewers])


async def test_viewers_at_the_same_time_cause_one_read() -> None:
    clock, reads = FakeClock(), []

    async def read() -> int:
        await asyncio.sleep(0)
        reads.append(clock.now())
        return len(reads)

    shared = SharedRead(read, fresh_s=1, clock=clock)
    assert await asyncio.gather(*(shared.get() for _ in range(20))) == [1] * 20
    await clock.advance(0.9)
    assert await shared.get() == 1
    await clock.advance(0.1)
    assert await shared.get() == 2
