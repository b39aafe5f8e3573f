"""The strict checks of an event's parts: no value is converted, and an instant is exactly a readable one."""

import copy
from collections.abc import Callable, Mapping
from typing import Any, Final

import pytest
from msgspec import Struct
from typing_extensions import is_typeddict

from commands.instant import parse_instant
from handlers.events import schema
from handlers.events.validation import InvalidFields, validate_conversation, validate_envelope, validate_work_item
from tests.handlers.events.malformed.fields import WRONG_IN_A_CONVERSATION, WRONG_IN_A_WORK_ITEM, WRONG_IN_THE_EVENT
from tests.handlers.events.malformed.kind import GONE, altered, good

ODD: Final[tuple[Any, ...]] = (None, True, 0, 1, -1, 2.0, 2**53, "", "x", "x\0", "y" * 257, [], {}, [None], GONE)
"""Values that a less strict check would convert or let through."""


class PartCheck(Struct, frozen=True, kw_only=True):
    """A check, the event that it passes, the path of its part in the event, and a wrong value for each field."""

    validate: Callable[[object], Any]
    side: str
    part: str
    wrong: Mapping[str, Any]

    def changed(self, path: str, value: Any) -> Any:
        """The part after a change of the event at `path`."""
        event = altered({"body": good(self.side)["body"]}, f"body.{path}", copy.deepcopy(value))["body"]
        return event[self.part] if self.part else event


CHECKS: Final = {
    "envelope": PartCheck(
        validate=validate_envelope,
        side="conversation",
        part="",
        wrong={path: wrong for path, wrong in WRONG_IN_THE_EVENT.items() if ".meta." not in path},
    ),
    "conversation": PartCheck(
        validate=validate_conversation, side="conversation", part="data", wrong=WRONG_IN_A_CONVERSATION
    ),
    "work-item": PartCheck(validate=validate_work_item, side="work-item", part="data", wrong=WRONG_IN_A_WORK_ITEM),
}


def passes(check: PartCheck, value: object) -> bool:
    """Whether the value passes. A value that does is returned as it came, without the names that are not modelled."""
    try:
        modelled = check.validate(value)
    except InvalidFields:
        return False
    assert repr(modelled) == repr(part_of(value, modelled))
    return True


def part_of(whole: Any, modelled: Any) -> Any:
    """The same fields of `whole` that `modelled` has. A routing reason's `meta` of another shape is left out."""
    if isinstance(modelled, dict):
        assert type(whole) is dict
        return {
            name: None if name == "meta" and inner is None else part_of(whole[name], inner)
            for name, inner in modelled.items()
        }
    if isinstance(modelled, list):
        assert type(whole) is list
        assert len(whole) == len(modelled)
        return [part_of(one, inner) for one, inner in zip(whole, modelled, strict=True)]
    return whole


@pytest.mark.parametrize("name", CHECKS)
def test_no_odd_value_is_converted(name: str) -> None:
    check, ends = CHECKS[name], set()
    for path, wrong in check.wrong.items():
        for value in (*ODD, wrong):
            if value is GONE and path.rpartition(".")[2].isdigit():
                continue
            if isinstance(whole := check.changed(path, value), dict):
                ends.add(passes(check, whole))
        if not path.endswith(".meta"):
            assert not passes(check, check.changed(path, wrong)), path
    assert ends == {True, False}


@pytest.mark.parametrize("name", CHECKS)
@pytest.mark.parametrize("value", [None, True, 7, "x", [], (), {}], ids=repr)
def test_a_part_that_is_empty_or_no_object_does_not_pass(name: str, value: object) -> None:
    assert not passes(CHECKS[name], value)


@pytest.mark.parametrize("size", [0, 1, 2.0, 0.5, -1, -2.5, 1e300, 2**63 - 1, None])
def test_an_item_size_is_any_finite_number(size: float | None) -> None:
    check = CHECKS["work-item"]
    assert passes(check, check.changed("data.attributes.itemSize", size))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("data.attributes.rev", 3.0),
        ("data.attributes.rev", "3"),
        ("data.attributes.rev", True),
        ("data.attributes.itemSize", True),
        ("data.attributes.itemSize", "1"),
        ("data.attributes.itemSize", float("nan")),
        ("data.attributes.itemSize", float("-inf")),
        ("data.attributes.priority", "1"),
        ("data.attributes.paused", 1),
        ("data.attributes.paused", "true"),
        ("data.attributes.status", 1),
        ("data.relationships.queue.data.id", 7),
    ],
)
def test_a_value_of_another_type_does_not_pass(path: str, value: Any) -> None:
    check = CHECKS["work-item"]
    assert not passes(check, check.changed(path, value))


@pytest.mark.parametrize(
    "text",
    [
        *(f"2024-{at}T23:59:59.999Z" for at in ("00-01", "13-01", "01-00", "01-01", "12-28", "02-29", "02-30")),
        *(f"2024-{at}T23:59:59.999Z" for at in ("04-30", "04-31", "12-31", "12-32", "1-01", "001-01")),
        "2023-02-29T00:00:00.000Z", "0000-01-01T00:00:00.000Z", "3000-01-01T00:00:00.000Z", "2024-01-01T24:00:00.000Z",
        "2024-01-01T00:60:00.000Z", "2024-01-01T00:00:60.000Z", "2024-01-01T00:00:00.000", "2024-01-01T00:00:00.000z",
        "2024-01-01T00:00:00.000Z\n", " 2024-01-01T00:00:00.000Z", "2024-01-01T00:00:00Z",
        "2024-01-01T00:00:00.000+02:00", "٢٠٢٤-01-01T00:00:00.000Z", "",
    ],
)  # fmt: skip
def test_an_instant_is_a_readable_time_with_a_zone(text: str) -> None:
    check = CHECKS["conversation"]
    assert passes(check, check.changed("data.attributes.updatedAt", text)) is (parse_instant(text) is not None)


def test_every_shape_has_its_names_among_the_modelled_ones() -> None:
    """A reason would mask the names of a shape that is missing in `SHAPES`."""
    assert [shape for shape in vars(schema).values() if is_typeddict(shape)] == list(schema.SHAPES)
