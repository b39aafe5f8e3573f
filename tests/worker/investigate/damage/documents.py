"""Documents of captured events, some of them damaged, by number."""

import json
from random import Random
from typing import Any, Final

from msgspec import Struct

from tests.handlers.wire_events import LOST_ASSIGNMENT, UNASSIGN_WITHOUT_QUEUE, Json, captured, notification, queued
from tests.worker.investigate.damage.damages import DAMAGES

_INCIDENTS: Final = (captured(LOST_ASSIGNMENT), captured(UNASSIGN_WITHOUT_QUEUE))
_NAMES: Final = tuple(DAMAGES)
_SHAPES: Final = ("log line", "log line", "message", "event", "notification", "queued")
_FORMS: Final = ("lines", "lines", "array", "indented array", "concatenated", "note", "wiki", "prefixed", "csv")


class PlacedEvent(Struct, frozen=True, kw_only=True):
    """An event of a document: its own object, the whole line around it, its damage, and its lines."""

    event: Json
    value: Json
    damages: tuple[str, ...]
    first_line: int
    last_line: int


class Document(Struct, frozen=True, kw_only=True):
    """A document, its file name, and the events in it."""

    name: str
    text: str
    form: str
    events: tuple[PlacedEvent, ...]


def event_in(value: Any) -> Json:
    """The event's own object in any of the five shapes."""
    while True:
        if "Body" in value:
            value = json.loads(value["Body"])
        elif "Message" in value:
            value = json.loads(value["Message"])
        elif isinstance(value.get("body"), dict):
            value = value["body"]
        else:
            event: Json = value
            return event


def document(random: Random, names: tuple[str, ...] = _NAMES) -> Document:
    """A document with the events of an incident, in a form, with damage of these names at random."""
    form, shape = random.choice(_FORMS), random.choice(_SHAPES)
    values = [_shaped(value, shape) for value in random.choice(_INCIDENTS)]
    if random.randrange(4) == 0:
        values.append(random.choice(values))
    texts: list[tuple[Json, str, tuple[str, ...]]] = []
    for value in values:
        indent = 2 if form == "indented array" or random.randrange(6) == 0 else None
        text = json.dumps(
            value, ensure_ascii=random.random() < 0.5, indent=indent, separators=None if indent else (",", ":")
        )
        damages = _damages(random, names)
        for name in damages:
            text = DAMAGES[name](random, text)
        texts.append((value, text, damages))
    return _composed(random, form, texts)


def _shaped(value: Json, shape: str) -> Json:
    match shape:
        case "message":
            return value["body"]  # type: ignore[no-any-return]
        case "event":
            return value["body"]["body"]  # type: ignore[no-any-return]
        case "notification":
            return notification(json.dumps(value["body"]))
        case "queued":
            return queued(json.dumps(notification(json.dumps(value["body"]))))
        case _:
            return value


def _damages(random: Random, names: tuple[str, ...]) -> tuple[str, ...]:
    if random.randrange(3) == 0:
        return ()
    chosen = random.sample(names, min(len(names), random.choice((1, 1, 1, 2, 3))))
    return tuple(sorted(chosen, key=lambda name: (name == "quotes", name.startswith("cut"), _NAMES.index(name))))


def _composed(random: Random, form: str, texts: list[tuple[Json, str, tuple[str, ...]]]) -> Document:
    before, between, after, suffix = _frame(random, form)
    text = before
    events: list[PlacedEvent] = []
    for number, (value, own, damages) in enumerate(texts):
        shown = own
        if form == "csv":
            quoted = own.replace('"', '""')
            shown = f'2022-03-02T19:13:26.000Z,i-0a1b2c,"{quoted}"'
        elif form == "prefixed":
            shown = f"[pod/sobjects-{number}/sobjects] {own}"
        first = text.count("\n") + 1
        text += shown
        events.append(
            PlacedEvent(
                event=event_in(value), value=value, damages=damages, first_line=first, last_line=text.count("\n") + 1
            )
        )
        text += between if number < len(texts) - 1 else after
    return Document(name=f"capture{suffix}", text=text, form=form, events=tuple(events))


def _frame(random: Random, form: str) -> tuple[str, str, str, str]:
    """What stands before, between and after the events, and the suffix of the file's name."""
    match form:
        case "array" | "indented array":
            lost = random.randrange(2)
            return ("" if lost else "[\n"), ",\n", ("" if lost else "\n]\n"), ".json"
        case "concatenated":
            return "", "", "\n", ".json"
        case "note":
            return (
                "# What happened\n\nAt 19:13 the customer called, see {code}.\n\n```json\n",
                "\n```\n\nthen, half a second later:\n\n```\n",
                "\n```\n\nThat is all.\n",
                ".md",
            )
        case "wiki":
            return "h2. What happened\n{code:json}\n", "\n{code}\nThen this:\n{code}\n", "\n{code}\nThe end.\n", ".wiki"
        case "csv":
            return "Date,Host,Content\n", "\n", "\n", ".csv"
        case _:
            return "", "\n", "\n", ".log"
