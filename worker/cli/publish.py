"""`routing-sync publish FILE…`: publishes captured events to SNS, as their producer would."""

import asyncio
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final

import orjson
import typer
from msgspec import Struct

from handlers.events.envelope import unwrap_value
from handlers.events.event import Malformed
from worker.aws.clients import sns_client
from worker.aws.sns import SnsTopics
from worker.captures import Capture, CaptureFault, captures_of, read_captures
from worker.cli.terminal import settings_or_exit
from worker.errors import AwsAway, Misconfigured, TopicsAway
from worker.outbox.topic_message import SNS_BYTES_MAX, SNS_ENTRIES_MAX, pack_into_calls, topic_message
from worker.ports import AwsEndpoint, TopicMessage, Topics
from worker.settings import TopicSettings

EVENT_FILES = Annotated[list[Path], typer.Argument(metavar="FILE…", help="Captured events; `-` is standard input.")]
OUTSIDE_ONLY = Annotated[bool, typer.Option("--outside-only", help="Leave syncs (isSync true) out.")]
JSON = Annotated[bool, typer.Option("--json", help="One JSON object.")]

_TRIES: Final = 3
_WORK_ITEM_TYPES: Final = frozenset({"work_item", "work-item"})


def publish(files: EVENT_FILES, outside_only: OUTSIDE_ONLY = False, as_json: JSON = False) -> None:
    """Publish captured events to their topics, in the order in which they stand.

    Any of the five shapes, as NDJSON, as a JSON array or one after another. What cannot be read or published is told
    with file and line, the rest goes on, and the exit status is 1.
    """
    settings = settings_or_exit(TopicSettings, "publish")
    arns = {
        "conversation": settings.sns_conversation_topic_arn,
        "work-item": settings.sns_work_item_topic_arn,
    }
    try:
        with _progress() as advance:
            count = asyncio.run(
                _publish(settings.sns_endpoint, arns, files, outside_only=outside_only, advance=advance)
            )
    except (AwsAway, Misconfigured) as error:
        sys.stderr.write(f"routing-sync publish: {error}\n")
        raise typer.Exit(1) from error
    if as_json:
        sys.stdout.write(orjson.dumps(count.as_wire()).decode() + "\n")
    else:
        sys.stdout.write(f"{count.published} published, {count.left_out} left out, {count.failed} failed\n")
    raise typer.Exit(1 if count.failed else 0)


@dataclass(slots=True, kw_only=True)
class PublishTally:
    """How many events went which way."""

    published: int = 0
    left_out: int = 0
    failed: int = 0

    def as_wire(self) -> dict[str, int]:
        """For `--json`."""
        return {"published": self.published, "leftOut": self.left_out, "failed": self.failed}


class OutgoingEvent(Struct, frozen=True, kw_only=True):
    """An event on its way: the topic's side, the message, and where it was read."""

    side: str
    message: TopicMessage
    capture: Capture


@dataclass(slots=True, kw_only=True)
class EventSender:
    """Gathers events into calls of ten a topic and sends them; tells faults with file and line."""

    topics: Topics
    arns: Mapping[str, str]
    count: PublishTally
    waiting: dict[str, list[OutgoingEvent]] = field(default_factory=dict)
    away: set[str] = field(default_factory=set)

    async def add(self, outgoing: OutgoingEvent) -> None:
        """Send when ten of a topic are together; once a topic is away, the rest of it is only counted."""
        if outgoing.side in self.away:
            self.count.failed += 1
            return
        some = self.waiting.setdefault(outgoing.side, [])
        some.append(outgoing)
        if len(some) >= SNS_ENTRIES_MAX:
            await self.flush(outgoing.side)

    async def flush(self, side: str) -> None:
        """Send what is left of a topic."""
        some = self.waiting.pop(side, [])
        for call in pack_into_calls(one.message for one in some):
            sent, some = some[: len(call)], some[len(call) :]
            try:
                await self._call(self.arns[side], sent)
            except TopicsAway as away:
                _tell(self.count, sent[0].capture, f"{away}: neither this nor what follows on its topic was published")
                self.count.failed += len(sent) + len(some) - 1
                self.away.add(side)
                return

    async def _call(self, arn: str, some: list[OutgoingEvent]) -> None:
        for attempt in range(1, _TRIES + 1):
            answers = await self.topics.publish(arn, [one.message for one in some])
            refused = [(one, answer) for one, answer in zip(some, answers, strict=True) if answer is not None]
            self.count.published += len(some) - len(refused)
            some = []
            for one, answer in refused:
                if answer.final or attempt == _TRIES:
                    _tell(self.count, one.capture, f"refused by SNS: {answer.code}: {answer.reason}")
                else:
                    some.append(one)
            if not some:
                return


async def _publish(
    endpoint: AwsEndpoint,
    arns: Mapping[str, str],
    files: list[Path],
    *,
    outside_only: bool,
    advance: Callable[[], None],
) -> PublishTally:
    count = PublishTally()
    async with sns_client(endpoint) as client:
        sender = EventSender(topics=SnsTopics(client), arns=arns, count=count)
        for capture in _captures(files):
            advance()
            if isinstance(capture, CaptureFault):
                _say(count, str(capture))
                continue
            outgoing = outgoing_of(capture, outside_only=outside_only)
            if isinstance(outgoing, str):
                _tell(count, capture, outgoing)
            elif outgoing is None:
                count.left_out += 1
            else:
                await sender.add(outgoing)
        for side in list(sender.waiting):
            await sender.flush(side)
    return count


def outgoing_of(capture: Capture, *, outside_only: bool) -> OutgoingEvent | str | None:
    """The event as its producer would publish it; None where it is left out, a line where it cannot be published."""
    unwrapped = unwrap_value(capture.value)
    if isinstance(unwrapped, Malformed):
        return f"{unwrapped.code.value}: {unwrapped.reason}"
    event = unwrapped.event
    if outside_only and event.get("isSync") is True:
        return None
    side = _side(event)
    if side is None:
        return "neither of a conversation nor of a work-item, so there is no topic for it"
    published = dict(unwrapped.published) if unwrapped.published is not None else _published(event)
    if unwrapped.trace is not None:
        published.setdefault("dd", dict(unwrapped.trace))
    # The producer's own lines carry more in `dd` than the ids.
    if isinstance(capture.value.get("dd"), Mapping):
        published["dd"] = capture.value["dd"]
    message = topic_message(
        id=str(published.get("id") or event.get("id")), group=_group(event), text=orjson.dumps(published).decode()
    )
    if message.size_bytes > SNS_BYTES_MAX:
        return f"{message.size_bytes} bytes, SNS takes {SNS_BYTES_MAX}"
    return OutgoingEvent(side=side, message=message, capture=capture)


def _side(event: Mapping[str, Any]) -> str | None:
    name, kind = event.get("name"), event["data"].get("type")
    if str(name).startswith("kustomer.work-item.") or kind in _WORK_ITEM_TYPES:
        return "work-item"
    if str(name).startswith("kustomer.conversation.") or kind == "conversation":
        return "conversation"
    return None


def _group(event: Mapping[str, Any]) -> str:
    """The conversation's id, as far as it can be told."""
    data: Any = event["data"]
    resource = data.get("relationships") or {}
    for key in ("resource", "data"):
        resource = resource.get(key) or {} if isinstance(resource, Mapping) else {}
    named = resource.get("id") if isinstance(resource, Mapping) else None
    return str(named or data.get("id") or event.get("id"))


def _published(event: Mapping[str, Any]) -> dict[str, Any]:
    """The wrapper that a bare event lost."""
    return {
        "id": event.get("id"),
        "name": event.get("name"),
        "partition": event.get("partition"),
        "body": event,
        "publishedAt": event.get("createdAt"),
        "version": 3,
    }


def _captures(files: list[Path]) -> Iterator[Capture | CaptureFault]:
    for file in files:
        if str(file) == "-":
            yield from captures_of("standard input", sys.stdin.buffer)
        else:
            yield from read_captures(file)


def _tell(count: PublishTally, capture: Capture, message: str) -> None:
    _say(count, str(CaptureFault(file=capture.file, line=capture.line, message=message)))


def _say(count: PublishTally, line: str) -> None:
    count.failed += 1
    sys.stderr.write(line + "\n")


@contextmanager
def _progress() -> Iterator[Callable[[], None]]:
    """Counts aloud where a person watches."""
    if not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console  # noqa: PLC0415 - only where a person watches
    from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn  # noqa: PLC0415

    columns = (SpinnerColumn(), TextColumn("publishing"), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("publishing", total=None)
        yield lambda: progress.advance(task)
