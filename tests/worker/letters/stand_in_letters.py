"""A dead-letter queue in memory, in strict order, with visibility on a clock that the test has."""

from collections import deque
from collections.abc import Callable, Sequence
from datetime import timedelta
from itertools import count

from msgspec import Struct

from tests.worker.stand_ins.fake_clock import AutoAdvancingClock
from worker.errors import QueueAway
from worker.ports.aws_calls import EntryResults, RefusedEntry
from worker.ports.letters import LetterDelivery, LetterQueueState, ReturnedMessage
from worker.ports.message_queue import Message

REFUSED = RefusedEntry(code="InvalidMessageContents", reason="no", final=True)
THROTTLED = RefusedEntry(code="Throttling", reason="slowly", final=False)


class _KeptLetter(Struct, kw_only=True):
    message: Message
    moved_from: str | None
    visible_at: float = 0.0


class StandInLetters:
    """A `LetterQueue`. `call_s`: how long a call takes. `empty_answers`: so many receive calls find nothing.

    `came_back`: makes of a message that was put back the body of a new dead letter, or None.
    """

    def __init__(self, clock: AutoAdvancingClock, *, fifo: bool = False, call_s: float = 0.01, receipt_length: int = 8):
        self.clock = clock
        self.fifo = fifo
        self.call_s = call_s
        self.receipt_length = receipt_length
        self.letters: dict[str, _KeptLetter] = {}
        self.put_back: list[ReturnedMessage] = []
        self.deleted: list[str] = []
        self.empty_answers = 0
        self.away: deque[bool] = deque()
        self.stale_count: int | None = None
        self.came_back: Callable[[ReturnedMessage], str | None] = lambda _: None
        self.send_refusals: dict[str, deque[RefusedEntry]] = {}
        self.give_back_refusals: deque[RefusedEntry] = deque()
        self.delete_refusal: RefusedEntry | None = None
        self.receives = 0
        self._numbers = count()
        self._receipts: dict[str, str] = {}

    def add(self, body: str, *, group: str | None = None, moved_from: str | None = None, **attributes: str) -> str:
        """Put a letter there; returns its id."""
        key = f"letter-{next(self._numbers)}"
        message = Message(
            id=key,
            receipt="",
            body=body,
            attributes={name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()},
            receive_count=0,
            sent_at=self.clock.now(),
            received_at=self.clock.now(),
            group=group,
        )
        self.letters[key] = _KeptLetter(message=message, moved_from=moved_from)
        return key

    @property
    def hidden(self) -> list[str]:
        """The letters that are in flight."""
        return [key for key, kept in self.letters.items() if kept.visible_at > self.clock.monotonic()]

    async def describe(self) -> LetterQueueState:
        visible = len(self.letters) - len(self.hidden) if self.stale_count is None else self.stale_count
        return LetterQueueState(
            name="dead", fifo=self.fifo, visible=visible, hidden=len(self.hidden), retention_s=345_600,
            read_at=self.clock.now().replace(microsecond=0),
        )  # fmt: skip

    async def receive(self, *, count_max: int, hidden_s: int, wait_s: int) -> Sequence[LetterDelivery]:
        self.receives += 1
        await self.clock.sleep(self.call_s)
        if self.away and self.away.popleft():
            raise QueueAway("SQS is away")
        if self.empty_answers:
            self.empty_answers -= 1
            await self.clock.sleep(wait_s)
            return []
        now = self.clock.monotonic()
        locked = {self.letters[key].message.group for key in self.hidden} if self.fifo else set()
        taken: list[LetterDelivery] = []
        for key, kept in self.letters.items():
            if kept.visible_at > now or kept.message.group in locked:
                continue
            receipt = f"{next(self._numbers):0{self.receipt_length}}"
            self._receipts[receipt] = key
            kept.visible_at = now + hidden_s
            message = kept.message
            taken.append(
                LetterDelivery(
                    message=Message(
                        id=message.id, receipt=receipt, body=message.body, attributes=message.attributes,
                        receive_count=message.receive_count + 1, sent_at=message.sent_at, received_at=message.sent_at,
                        group=message.group,
                    ),
                    moved_from=kept.moved_from,
                )
            )  # fmt: skip
            if len(taken) == count_max:
                break
        if not taken:
            await self.clock.sleep(wait_s)
        return taken

    async def give_back(self, receipts: Sequence[str]) -> EntryResults:
        if self.away and self.away.popleft():
            raise QueueAway("SQS is away")
        answers: list[RefusedEntry | None] = []
        for receipt in receipts:
            if self.give_back_refusals:
                answers.append(self.give_back_refusals.popleft())
                continue
            answers.append(None)
            # Only letters that are still there: SQS refuses the receipt of a deleted one.
            self.letters[self._receipts[receipt]].visible_at = 0.0
        return answers

    async def delete_batch(self, receipts: Sequence[str]) -> EntryResults:
        if self.delete_refusal is not None:
            return [self.delete_refusal] * len(receipts)
        for receipt in receipts:
            key = self._receipts[receipt]
            self.letters.pop(key, None)
            self.deleted.append(key)
        return [None] * len(receipts)

    async def put_back_batch(self, messages: Sequence[ReturnedMessage]) -> EntryResults:
        assert len(messages) <= 10
        answers: list[RefusedEntry | None] = []
        for message in messages:
            refusals = self.send_refusals.get(message.body)
            if refusals:
                answers.append(refusals.popleft())
                continue
            answers.append(None)
            self.put_back.append(message)
            died = self.came_back(message)
            if died is not None:
                # Some time later: the worker receives it and refuses it again.
                self.add(died)
                kept = self.letters[f"letter-{max(int(key.split('-')[1]) for key in self.letters)}"]
                later = kept.message.sent_at + timedelta(seconds=2)
                kept.message = Message(
                    id=kept.message.id, receipt="", body=died, attributes={}, receive_count=0, sent_at=later,
                    received_at=later,
                )  # fmt: skip
        return answers
