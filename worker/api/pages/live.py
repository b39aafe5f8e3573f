"""Live updates by server-sent events: a page's main part is sent whenever it changed.

All streams of the status page share one read of the store: a look every second or two, whatever the number of viewers,
and none while nobody looks.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Final, Generic, TypeVar

from msgspec import Struct
from msgspec.json import encode

from handlers.ports import Clock

STREAMS_MAX: Final = 50
"""Streams at once: each holds a connection."""
INTERVAL_S: Final = 2.0
_BEAT_S: Final = 15.0
"""Proxies close a connection that is silent for long, and a page takes a silent stream for a dead one (pages.js)."""
_STREAM_S_MAX: Final = 600.0
"""A stream ends after this time, and the browser opens the next one: so a server that must go is left by all."""
_RETRY_MS: Final = 2_000

View = TypeVar("View")


class Rendered(Struct, frozen=True, kw_only=True):
    """The part of a page that changes, and the sentence that a screen reader speaks."""

    main: str
    summary: str


class SharedRead(Generic[View]):
    """The last view, for as long as it is fresh: viewers at the same time cause one read."""

    def __init__(self, read: Callable[[], Awaitable[View]], *, fresh_s: float, clock: Clock) -> None:
        """Nothing was read yet."""
        self._read = read
        self._fresh_s = fresh_s
        self._clock = clock
        self._lock = asyncio.Lock()
        self._last: tuple[float, View] | None = None

    async def get(self) -> View:
        """The view, read anew if it is not fresh."""
        async with self._lock:
            if self._last is None or self._clock.monotonic() - self._last[0] >= self._fresh_s:
                view = await self._read()
                self._last = self._clock.monotonic(), view
            return self._last[1]


class LiveStreams:
    """The streams of the process; `open` counts the viewers of this moment."""

    def __init__(self, clock: Clock, *, interval_s: float = INTERVAL_S) -> None:
        """No stream is open."""
        self._clock = clock
        self._interval_s = interval_s
        self.open = 0
        self._closing = asyncio.Event()

    @property
    def full(self) -> bool:
        """Whether no further stream may be opened: there are too many, or the server stops."""
        return self.open >= STREAMS_MAX or self._closing.is_set()

    def close(self) -> None:
        """End every stream: the server stops."""
        self._closing.set()

    @contextlib.contextmanager
    def viewer(self) -> Iterator[None]:
        """Count a viewer for as long as the block runs. Between a look at `full` and this nothing may be awaited."""
        self.open += 1
        try:
            yield
        finally:
            self.open -= 1

    async def stream(self, render: Callable[[], Awaitable[Rendered]]) -> AsyncIterator[bytes]:
        """The events of one viewer, until it leaves, the server stops, or the stream is old."""
        yield b"retry: %d\n\n" % _RETRY_MS
        began_at = spoke_at = self._clock.monotonic()
        last: Rendered | None = None
        while not self._closing.is_set() and self._clock.monotonic() - began_at < _STREAM_S_MAX:
            rendered = await render()
            if rendered != last:
                last, spoke_at = rendered, self._clock.monotonic()
                yield b"event: page\ndata: " + encode(rendered) + b"\n\n"
            elif self._clock.monotonic() - spoke_at >= _BEAT_S:
                spoke_at = self._clock.monotonic()
                yield b"event: beat\ndata:\n\n"
            await self._pause()

    async def _pause(self) -> None:
        closing = asyncio.ensure_future(self._closing.wait())
        sleep = asyncio.ensure_future(self._clock.sleep(self._interval_s))
        try:
            await asyncio.wait([closing, sleep], return_when=asyncio.FIRST_COMPLETED)
        finally:
            closing.cancel()
            sleep.cancel()
