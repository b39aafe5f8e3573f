"""The check of a shape says yes to what its model takes, and leaves every no to the model."""

import copy
from collections.abc import Mapping
from typing import Any, Final

import pytest
from pydantic import BaseModel, ValidationError

from commands.instant import parse_instant
from handlers.events.schema import ConversationData, EventEnvelope, WorkItemData
from handlers.events.validation import check_of
from tests.handlers.events.malformed_fields import WRONG_IN_A_CONVERSATION, WRONG_IN_A_WORK_ITEM, WRONG_IN_THE_EVENT
from tests.handlers.events.malformed_kind import GONE, altered, good

ODD: Final[tuple[Any, ...]] = (None, True, 0, 1, -1, 2.0, 2**53, "", "x", "x\0", "y" * 257, [], {}, [None], GONE)
"""In the place of any value: what a check less strict than the model would let through."""
PLACES: Final[Mapping[type[BaseModel], tuple[str, Mapping[str, Any]]]] = {
    EventEnvelope: (
        "conversation",
        {path: wrong for path, wrong in WRONG_IN_THE_EVENT.items() if ".meta." not in path},
    ),
    ConversationData: ("conversation", WRONG_IN_A_CONVERSATION),
    WorkItemData: ("work-item", WRONG_IN_A_WORK_ITEM),
}


def told(check: Any, value: object) -> list[Any] | None:
    """The faults, or None where there are none."""
    try:
        check(value)
    except ValidationError as fault:
        return list(fault.errors(include_url=False))
    return None


def changed(model: type[BaseModel], path: str, value: Any) -> Any:
    side, _ = PLACES[model]
    event = altered({"body": good(side)["body"]}, f"body.{path}", copy.deepcopy(value))["body"]
    return event if model is EventEnvelope else event["data"]


@pytest.mark.parametrize("model", PLACES)
def test_the_check_and_the_model_agree_on_any_one_odd_value(model: type[BaseModel]) -> None:
    check, ends = check_of(model), set()
    for path, wrong in PLACES[model][1].items():
        for value in (*ODD, wrong):
            if value is GONE and path.rpartition(".")[2].isdigit():
                continue
            thing = changed(model, path, value)
            if not isinstance(thing, dict):
                continue
            faults = told(check, thing)
            assert repr(faults) == repr(told(model.model_validate, thing)), (path, value)
            ends.add(faults is None)
    assert ends == {True, False}


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
def test_an_instant_is_what_can_be_read_as_one(text: str) -> None:
    faults = told(check_of(ConversationData), changed(ConversationData, "data.attributes.updatedAt", text))
    assert (faults is None) is (parse_instant(text) is not None)


def test_a_model_that_is_not_strict_has_no_check() -> None:
    class Lax(BaseModel):
        number: int

    with pytest.raises(AssertionError):
        check_of(Lax)
