"""The watermark: the time before which nothing sent to the queue is still undelivered (docs/rules.md, *The watermark*).

    watermark = SQS's now − SYNC_GAP_SECONDS − lag

The gap poll asks it whether an event can still come. A watermark that is too early only delays the poll; one that is
too late loses an update. Every doubt is therefore decided for an earlier watermark, or for none.

- SQS's now is the `Date` of its last response and the time since, without this machine's clock.
- The lag is the greatest age of a message, by SQS's `SentTimestamp`: of those in flight now, and of those received or
  in flight within the last minute. A message received more than three times is not counted: it comes back because it
  fails, not because the queue is late. A pause counts like an age: the longest time of the last minute in which no
  message came for the first time. SNS may have held messages meanwhile, so the watermark stands still until the next
  one comes.

There is no watermark

- while receive calls fail or do not return (`QUEUE_AWAY`);
- while no receive call has been under way for ten seconds (`RECEIVING_PAUSED`): the store or the queue is away, too
  many messages are in flight, or the process slept;
- after the start, after such a pause and after a leap of SQS's clock, until a long poll comes back empty or responses
  have come for a minute (`BACKLOG_UNKNOWN`): the messages that lie in the queue for longest may not have been seen yet.
  So it is, too, while no response had a `Date`;
- while no message has come for the first time for a minute, and for a minute after that ends (`SILENCE`): SNS may hold
  all of them. A process that starts has seen none.

Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html
"""

from collections import deque
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from commands.instant import format_instant
from worker.consumer.in_flight import InFlight
from worker.ports.message_queue import LONG_POLL_S, Message, ReceiveResponse
from worker.runtime.context import RuntimeContext
from worker.telemetry.metrics import Metric

RECEIVE_COUNT_MAX: Final = 3
"""A message received more often does not count for the lag."""
_REMEMBERED_S: Final = 60.0
_PAUSE_S_MAX: Final = 10.0
_RESPONSE_S_MAX: Final = LONG_POLL_S + _PAUSE_S_MAX
_EMPTY_POLL_S_MIN: Final = LONG_POLL_S - 1.0
_DATE_RESOLUTION: Final = timedelta(seconds=1)
"""A `Date` header is cut to the second, so SQS's clock may be ahead of it by so much."""
_STEP_BACK_S_MAX: Final = 1.0
"""A server's clock may be so far behind the other servers' and still be no reason to set the clock back."""
_LEAP_S_MAX: Final = 5.0
"""SQS's clock gains so much at most on what was known of it: the second of a `Date`, and the difference of servers."""
_LOOK_INTERVAL_S: Final = 1.0


class NoWatermark(StrEnum):
    """Why there is no watermark; this file's head says what each means."""

    QUEUE_AWAY = "QUEUE_AWAY"
    RECEIVING_PAUSED = "RECEIVING_PAUSED"
    BACKLOG_UNKNOWN = "BACKLOG_UNKNOWN"
    SILENCE = "SILENCE"


class QueueWatermark:
    """The ports `Watermark` and `QueueClock`, one for the process. The receivers report their calls to it.

    `run` must run: without it, a sleep of the process during a long poll goes unnoticed. Times in private attributes
    are seconds of `_elapsed_s`.
    """

    def __init__(self, *, gap_s: float, in_flight: InFlight, runtime: RuntimeContext) -> None:
        self._gap = timedelta(seconds=gap_s)
        self._in_flight = in_flight
        self._runtime = runtime
        self._clock = runtime.clock
        self._looked_at_monotonic, self._looked_at_wall = self._clock.monotonic(), self._clock.now()
        self._passed_s = 0.0
        # SQS's clock at the zero of `_elapsed_s`, None before the first response; the least since the last resumption,
        # by which pairs may wait; and whether a sleep that was none may have moved it.
        self._queue_zero: datetime | None = None
        self._least_zero: datetime | None = None
        self._clock_doubtful = False
        self._calls = 0
        self._idle_since = 0.0
        self._responded_at = 0.0
        self._away = False
        # Receiving goes on since then. Only a call that began later says something about the backlog.
        self._resumed_at = 0.0
        self._first_response_at: float | None = None
        self._backlog_known = False
        self._first_delivery_at: float | None = None
        self._silent_until = 0.0
        # Ages of the last minute: (time, age), each with a smaller age than the one before it.
        self._ages: deque[tuple[float, timedelta]] = deque()
        self._reported: NoWatermark | None = None

    # The ports

    def now(self) -> datetime:
        """SQS's clock, cut to the millisecond; before the first response, the machine's clock."""
        return self._queue_time(self._elapsed_s())

    def current(self) -> datetime | None:
        """The present watermark; None while there is none."""
        reading = self.reading()
        return None if isinstance(reading, NoWatermark) else reading

    def reading(self) -> datetime | NoWatermark:
        """The present watermark, or the reason why there is none."""
        now = self._elapsed_s()
        if self._away or (self._calls and self._silence_of_queue_s(now) > _RESPONSE_S_MAX):
            return NoWatermark.QUEUE_AWAY
        if self._is_paused(now):
            return NoWatermark.RECEIVING_PAUSED
        if not self._backlog_known or self._queue_zero is None:
            return NoWatermark.BACKLOG_UNKNOWN
        if self._is_silent(now) or now < self._silent_until:
            return NoWatermark.SILENCE
        return self._queue_time(now) - self._gap - self._lag(now)

    # The receivers report

    def call_began(self) -> float:
        """A receive call begins; the result is handed to `call_ended`."""
        now = self._elapsed_s()
        if self._is_paused(now):
            self._resume(now)
        self._calls += 1
        return now

    def call_ended(self, began_at: float, response: ReceiveResponse | None) -> None:
        """A receive call ended, with None if it failed."""
        now = self._elapsed_s()
        self._calls -= 1
        self._idle_since = now
        self._away = response is None
        if self._silence_of_queue_s(now) > (_PAUSE_S_MAX if response is None else _RESPONSE_S_MAX):
            self._resume(now)
        if response is None:
            return
        self._responded_at = now
        if response.date is not None and began_at >= self._resumed_at:
            self._set_queue_clock(response.date, began_at, now)
        if response.messages:
            self._note_messages(response.messages, now)
        if began_at >= self._resumed_at:
            self._note_evidence(response.messages, now - began_at, now)

    def call_cancelled(self) -> None:
        """A receive call was cancelled: the worker stops."""
        self._calls -= 1
        self._idle_since = self._elapsed_s()

    # The process looks

    async def run(self) -> None:
        """Look once a second, until cancelled."""
        while True:
            self.look()
            await self._clock.sleep(_LOOK_INTERVAL_S)

    def look(self) -> None:
        """Note the ages of the messages in flight, and report the watermark to metrics, readiness check and log."""
        now = self._elapsed_s()
        self._note_age(self._age_in_flight(now), now)
        reading = self.reading()
        missing = isinstance(reading, NoWatermark)
        reason = reading if isinstance(reading, NoWatermark) else None
        telemetry = self._runtime.telemetry
        telemetry.metrics.gauge(Metric.WATERMARK_MISSING, int(missing))
        if not isinstance(reading, NoWatermark):
            telemetry.metrics.gauge(Metric.WATERMARK_BEHIND, (self._queue_time(now) - reading).total_seconds())
        time = None if isinstance(reading, NoWatermark) else format_instant(reading)
        self._runtime.health.note_watermark(time, reason)
        if reason != self._reported:
            self._reported = reason
            if reason is None:
                telemetry.log.info("watermark kept, waiting pairs are polled", watermark=time)
            else:
                telemetry.log.info("no watermark, waiting pairs wait on", reason=reason.value)

    # Time

    def _elapsed_s(self) -> float:
        """Seconds since this object was made, those that the machine slept included.

        The monotonic clock may stand still while the machine sleeps; the wall clock is then ahead by so much. A wall
        clock that is set forward cannot be told from a sleep, and counts as one. Nobody looked for more than
        `_PAUSE_S_MAX`: the process was stopped, and received nothing.
        """
        monotonic, wall = self._clock.monotonic(), self._clock.now()
        passed_s = monotonic - self._looked_at_monotonic
        slept_s = (wall - self._looked_at_wall).total_seconds() - passed_s
        self._looked_at_monotonic, self._looked_at_wall = monotonic, wall
        if slept_s > _PAUSE_S_MAX:
            passed_s += slept_s
            self._clock_doubtful = True
        self._passed_s += passed_s
        if passed_s > _PAUSE_S_MAX:
            self._resume(self._passed_s)
        return self._passed_s

    def _queue_time(self, now: float) -> datetime:
        if self._queue_zero is None:
            return self._clock.now()
        time = self._queue_zero + timedelta(seconds=now)
        return time.replace(microsecond=time.microsecond // 1000 * 1000)

    def _set_queue_clock(self, date: datetime, began_at: float, now: float) -> None:
        """SQS wrote the `Date` at some time of the call: nobody says when of a long poll, and a busy process reads it
        late. So it sets the clock back only where no time of the call explains it."""
        earliest = date - timedelta(seconds=now)
        latest = date + _DATE_RESOLUTION - timedelta(seconds=began_at)
        zero, least = self._queue_zero, self._least_zero
        if zero is None or least is None or self._clock_doubtful:
            self._clock_doubtful = False
            self._queue_zero = self._least_zero = earliest
            return
        back_s = (zero - latest).total_seconds()
        if earliest > zero or back_s > _STEP_BACK_S_MAX:
            zero = earliest
        least = min(least, zero)
        if (zero - least).total_seconds() > _LEAP_S_MAX or back_s > _PAUSE_S_MAX:
            # The clock was behind until now, so pairs that wait have an earlier time than they should; or the machine
            # was suspended and no clock of it shows that, or this response's `Date` is wrong.
            self._resume(now)
            least = zero
        self._queue_zero, self._least_zero = zero, least

    # Pauses

    def _silence_of_queue_s(self, now: float) -> float:
        """For how long the queue has not responded while it was asked."""
        return now - max(self._responded_at, self._resumed_at)

    def _is_paused(self, now: float) -> bool:
        return not self._calls and now - self._idle_since > _PAUSE_S_MAX

    def _resume(self, now: float) -> None:
        """Receiving was interrupted up to now: what was known of the backlog is void."""
        self._resumed_at = now
        self._backlog_known = False
        self._first_response_at = None

    def _note_evidence(self, messages: Sequence[Message], call_s: float, now: float) -> None:
        """Note a response to a call that began after the last pause and took `call_s`."""
        if self._first_response_at is None:
            self._first_response_at = now
        # An empty response that comes at once may be that of one of SQS's servers; a long poll asks all of them.
        came_back_empty = not messages and call_s >= _EMPTY_POLL_S_MIN
        if came_back_empty or now - self._first_response_at >= _REMEMBERED_S:
            self._backlog_known = True

    # Messages

    def _note_messages(self, messages: Sequence[Message], now: float) -> None:
        if any(message.receive_count == 1 for message in messages):
            if self._is_silent(now):
                self._silent_until = now + _REMEMBERED_S
            self._note_age(self._pause(now), now)
            self._first_delivery_at = now
        counted = [message.sent_at for message in messages if message.receive_count <= RECEIVE_COUNT_MAX]
        if counted:
            self._note_age(self._queue_time(now) - min(counted), now)

    def _is_silent(self, now: float) -> bool:
        """No message has come for the first time for a minute, or since the start."""
        return self._first_delivery_at is None or now - self._first_delivery_at > _REMEMBERED_S

    def _lag(self, now: float) -> timedelta:
        while self._ages and now - self._ages[0][0] > _REMEMBERED_S:
            self._ages.popleft()
        greatest = self._ages[0][1] if self._ages else timedelta()
        return max(greatest, self._age_in_flight(now), self._pause(now)) + _DATE_RESOLUTION

    def _pause(self, now: float) -> timedelta:
        """How long no message has come for the first time."""
        return timedelta(seconds=0.0 if self._first_delivery_at is None else now - self._first_delivery_at)

    def _age_in_flight(self, now: float) -> timedelta:
        oldest = self._in_flight.oldest_sent_at(receive_count_max=RECEIVE_COUNT_MAX)
        return timedelta() if oldest is None else self._queue_time(now) - oldest

    def _note_age(self, age: timedelta, now: float) -> None:
        """Remember the age for a minute. Of two ages only the greater one counts while both are remembered."""
        while self._ages and self._ages[-1][1] <= age:
            self._ages.pop()
        if age > timedelta():
            self._ages.append((now, age))
