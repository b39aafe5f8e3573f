"""Every kind of malformed message: its code and its reason, which shows none of the customer's content.

Each modelled field has its kind, so that a new field without one fails here.
"""

import types
from collections.abc import Iterator
from typing import Union, get_args, get_origin, get_type_hints

import pytest
from typing_extensions import is_typeddict

from handlers.events.envelope import Limits
from handlers.events.event import Event, Malformed, RejectionCode
from handlers.events.parser import read_message
from handlers.events.schema import ConversationSnapshot, EventEnvelope, WorkItemSnapshot
from tests.handlers.events.malformed.fields import (
    WRONG_IN_A_CONVERSATION,
    WRONG_IN_A_REASON,
    WRONG_IN_A_WORK_ITEM,
    WRONG_IN_THE_EVENT,
)
from tests.handlers.events.malformed.kind import CONTENT, Kind, altered, good
from tests.handlers.events.malformed.messages import MALFORMED
from tests.handlers.wire_events import text

REASON_CHARACTERS_MAX = 2_000


@pytest.mark.parametrize("kind", MALFORMED, ids=lambda kind: kind.id)
def test_malformed(kind: Kind) -> None:
    result = read_message(kind.body)
    assert isinstance(result, Malformed)
    assert result.code is kind.code, result.reason
    assert kind.says in result.reason
    assert CONTENT not in result.reason
    assert len(result.reason) < REASON_CHARACTERS_MAX


def test_ids_are_unique() -> None:
    ids = [kind.id for kind in MALFORMED]
    assert sorted(set(ids)) == sorted(ids)


def test_every_code_is_met() -> None:
    assert {kind.code for kind in MALFORMED} == set(RejectionCode)


def test_the_messages_that_the_kinds_alter_are_well_formed() -> None:
    """Otherwise a kind could be malformed for another reason than its own."""
    assert isinstance(read_message(text(good("conversation"))), Event)
    assert isinstance(read_message(text(good("work-item"))), Event)


def paths_of(shape: type, at: str = "") -> Iterator[str]:
    """The path of every modelled field. `*` replaces a list's index and a mapping's name."""
    for name, annotation in get_type_hints(shape, include_extras=False).items():
        yield from _paths_within(annotation, f"{at}{name}")


def _paths_within(annotation: object, path: str) -> Iterator[str]:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        for argument in arguments:
            yield from _paths_within(argument, path)
    elif origin in (list, dict):
        yield path
        yield from _paths_within(arguments[-1], f"{path}.*")
    elif isinstance(annotation, type) and is_typeddict(annotation):
        yield path
        yield from paths_of(annotation, f"{path}.")
    elif annotation is not type(None) and annotation is not object:
        yield path


ANYTHING_GOES = {"changes.*.*.before", "changes.*.*.after"}


def _starred(path: str) -> str:
    if path.startswith("changes.") and path.count(".") > 1:
        head, _, *rest = path.split(".")
        return ".".join((head, "*", "*", *rest[1:]))
    return ".".join("*" if part.isdigit() else part for part in path.split("."))


def test_every_modelled_field_has_its_kind() -> None:
    modelled = {
        *paths_of(EventEnvelope),
        *paths_of(ConversationSnapshot, "data."),
        *paths_of(WorkItemSnapshot, "data."),
    }
    wrong = {
        *WRONG_IN_THE_EVENT,
        *WRONG_IN_A_REASON,
        *WRONG_IN_A_CONVERSATION,
        *WRONG_IN_A_WORK_ITEM,
        "data.attributes.rev",
    }
    assert {_starred(path) for path in modelled} - {_starred(path) for path in wrong} == ANYTHING_GOES


def test_of_many_faults_ten_are_named_and_the_rest_counted() -> None:
    message = good("work-item")
    for name in ("firstEnterQueueAt", "resourceCreatedAt", "completedAt", "updatedAt", "paused", "priority"):
        altered(message, f"body.data.attributes.{name}", [CONTENT])
    for name in ("queue", "rule", "assignedTo", "acceptedBy", "routedTo", "team"):
        altered(message, f"body.data.relationships.{name}", [CONTENT])
    result = read_message(text(message))
    assert isinstance(result, Malformed)
    assert result.reason.count("; ") == 10
    assert result.reason.endswith("; and 2 more")


@pytest.mark.parametrize("bytes_over", [0, 1])
def test_the_limit_of_bytes_counts_bytes_and_is_itself_allowed(bytes_over: int) -> None:
    message = good()
    altered(message, "body.data.attributes.preview", "é" * 100)
    body = text(message)
    result = read_message(body, limits=Limits(bytes_max=len(body.encode()) - bytes_over))
    assert isinstance(result, Malformed) is bool(bytes_over)


@pytest.mark.parametrize("levels_over", [0, 1])
def test_the_limit_of_depth_is_itself_allowed(levels_over: int) -> None:
    # message, body, data, attributes, custom and two more: seven levels.
    message = altered(good(), "body.data.attributes.custom", {"in": [{}]})
    result = read_message(text(message), limits=Limits(depth_max=7 - levels_over))
    assert isinstance(result, Malformed) is bool(levels_over)


@pytest.mark.parametrize("number", [-(2**63), 2**63 - 1, 1.5e300, -0.0])
def test_numbers_that_64_bits_hold_are_kept(number: float) -> None:
    result = read_message(text(altered(good(), "body.data.attributes.custom", number)))
    assert isinstance(result, Event)
    assert result.data["attributes"]["custom"] == number


@pytest.mark.parametrize("number", [2**63, 2**64 - 1, 2**64, -(2**63) - 1, 10**30])
def test_whole_numbers_that_64_bits_cannot_hold_are_refused_not_rounded(number: int) -> None:
    body = text(good()).replace(f'"{CONTENT}"', str(number))
    result = read_message(body)
    assert isinstance(result, Malformed), "a customer's number would be stored and announced as another one"
    assert result.code is RejectionCode.INVALID_FIELD
