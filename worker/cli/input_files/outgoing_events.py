"""Captured events on their way to SNS, as their producer would publish them."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson
from msgspec import Struct

from handlers.events.envelope import unwrap_text
from handlers.events.event import Malformed
from handlers.events.half_surrogates import without_halves
from handlers.events.parser import read_event
from sync.gates import Side
from worker.captures import Capture, CaptureFault, UnreadParts, is_audit_line
from worker.errors import TopicsAway
from worker.outbox.topic_message import SNS_BYTES_MAX, SNS_ENTRIES_MAX, pack_into_calls, topic_message
from worker.ports.topics import TopicMessage, Topics

_TRIES_MAX: Final = 3
_WORK_ITEM_TYPES: Final = frozenset({"work_item", "work-item"})


class OutgoingEvent(Struct, frozen=True, kw_only=True):
    """An event for the topic of its side, and its place in the capture."""

    side: Side
    message: TopicMessage
    capture: Capture


class PublishCounts(Struct, kw_only=True):
    """How many events were published, left out as asked, and failed."""

    published: int = 0
    left_out: int = 0
    failed: int = 0

    def as_wire(self) -> dict[str, int]:
        """For `--json`."""
        return {"published": self.published, "leftOut": self.left_out, "failed": self.failed}


class EventSender:
    """Publishes captured events in calls of ten a topic, and reports each failure with file and line.

    `arns`: the topic of each side. `outside_only`: syncs are left out. `print_error` takes a line.
    """

    def __init__(
        self, topics: Topics, arns: Mapping[Side, str], *, outside_only: bool, print_error: Callable[[str], None]
    ) -> None:
        self.counts = PublishCounts()
        self._topics = topics
        self._arns = arns
        self._outside_only = outside_only
        self._print_error = print_error
        self._unread = UnreadParts(print_error)
        self._waiting: dict[Side, list[OutgoingEvent]] = {}
        self._away: set[Side] = set()

    async def add(self, capture: Capture | CaptureFault) -> None:
        """Publish the event, at the latest in `finish`. After a topic went away, its events only count as failed."""
        if isinstance(capture, CaptureFault):
            self.counts.failed += 1
            self._unread.add(capture)
            return
        outgoing = outgoing_event(capture, outside_only=self._outside_only)
        match outgoing:
            case None:
                self.counts.left_out += 1
            case CaptureFault():
                self._fail(outgoing)
            case OutgoingEvent(side=side) if side in self._away:
                self.counts.failed += 1
            case OutgoingEvent(side=side):
                waiting = self._waiting.setdefault(side, [])
                waiting.append(outgoing)
                if len(waiting) >= SNS_ENTRIES_MAX:
                    await self._flush(side)

    async def finish(self) -> None:
        """Publish what still waits for its call to fill, and tell how much could not be read."""
        for side in list(self._waiting):
            await self._flush(side)
        summary = self._unread.summary()
        if summary is not None:
            self._print_error(summary)

    async def _flush(self, side: Side) -> None:
        left = self._waiting.pop(side, [])
        for call in pack_into_calls(each.message for each in left):
            sent, left = left[: len(call)], left[len(call) :]
            try:
                await self._send(self._arns[side], sent)
            except TopicsAway as away:
                rest = "this event and the later events of its topic are not published: publish them again"
                self._fail(sent[0].capture.fault(f"{away}: {rest}"))
                self.counts.failed += len(sent) + len(left) - 1
                self._away.add(side)
                return

    async def _send(self, arn: str, sent: list[OutgoingEvent]) -> None:
        """One call, repeated for the entries that SNS may take at the next try."""
        for attempt in range(1, _TRIES_MAX + 1):
            answers = await self._topics.publish(arn, [each.message for each in sent])
            refused = [(each, answer) for each, answer in zip(sent, answers, strict=True) if answer is not None]
            self.counts.published += len(sent) - len(refused)
            sent = []
            for each, answer in refused:
                if answer.final or attempt == _TRIES_MAX:
                    self._fail(each.capture.fault(f"refused by SNS: {answer.code}: {answer.reason}"))
                else:
                    sent.append(each)
            if not sent:
                return

    def _fail(self, fault: CaptureFault) -> None:
        self.counts.failed += 1
        self._print_error(str(fault))


def outgoing_event(capture: Capture, *, outside_only: bool) -> OutgoingEvent | CaptureFault | None:
    """The event as its producer would publish it; None where it is left out, as an audit line is; a fault where the
    worker could not read it or no topic can take it."""
    unwrapped = unwrap_text(capture.text)
    if isinstance(unwrapped, Malformed):
        return None if is_audit_line(capture.text) else capture.rejection(unwrapped)
    event = unwrapped.event
    if outside_only and event.get("isSync") is True:
        return None
    read = read_event(unwrapped)
    if isinstance(read, Malformed):
        return capture.rejection(read)
    side = _side(event)
    if side is None:
        return capture.fault("neither of a conversation nor of a work-item, so there is no topic for it")
    published = dict(unwrapped.published) if unwrapped.published is not None else _published_message(event)
    if unwrapped.trace is not None:
        published.setdefault("dd", dict(unwrapped.trace))
    # The producer's own log lines have more in `dd` than the ids.
    if isinstance(unwrapped.outermost.get("dd"), Mapping):
        published["dd"] = without_halves(unwrapped.outermost["dd"])
    message = topic_message(
        id=str(published.get("id") or event.get("id")), group=_group(event), text=_as_json(published)
    )
    if message.size_bytes > SNS_BYTES_MAX:
        return capture.fault(f"{message.size_bytes} bytes, SNS takes {SNS_BYTES_MAX}")
    return OutgoingEvent(side=side, message=message, capture=capture)


def _as_json(published: Mapping[str, Any]) -> str:
    try:
        return orjson.dumps(published).decode()
    except TypeError:
        # A number beyond 64 bits beside the event: the worker's reader takes it, orjson does not write it.
        return json.dumps(published, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _side(event: Mapping[str, Any]) -> Side | None:
    name, kind = str(event.get("name")), event["data"].get("type")
    if name.startswith("kustomer.work-item.") or kind in _WORK_ITEM_TYPES:
        return "work-item"
    if name.startswith("kustomer.conversation.") or kind == "conversation":
        return "conversation"
    return None


def _group(event: Mapping[str, Any]) -> str:
    """The FIFO message group: the conversation's id, or the event's own where it names no conversation."""
    data: Any = event["data"]
    resource = data.get("relationships") or {}
    for key in ("resource", "data"):
        resource = resource.get(key) or {} if isinstance(resource, Mapping) else {}
    named = resource.get("id") if isinstance(resource, Mapping) else None
    return str(named or data.get("id") or event.get("id"))


def _published_message(event: Mapping[str, Any]) -> dict[str, Any]:
    """The published message (docs/events.md) around a bare event."""
    return {
        "id": event.get("id"),
        "name": event.get("name"),
        "partition": event.get("partition"),
        "body": event,
        "publishedAt": event.get("createdAt"),
        "version": 3,
    }
