"""The reason codes' table in the docstring is the enum, row by row."""

import orjson
import pytest

import commands.reason
from commands.reason import Reason, ReasonAction, ReasonCode, RefusalCode
from tests.compiled_build.of_the_source import OF_THE_SOURCE

ROWS = [
    [cell.strip().strip("`") for cell in line.strip("|").split("|")]
    for line in (commands.reason.__doc__ or "").splitlines()
    if line.startswith("| `")
]


@OF_THE_SOURCE
def test_the_table_has_a_row_for_every_code_in_the_enums_order() -> None:
    assert [code for _, code, _ in ROWS] == [code.value for code in ReasonCode]


@OF_THE_SOURCE
def test_the_table_names_every_action() -> None:
    assert {action for action, _, _ in ROWS} == set(ReasonAction)


def test_every_row_has_a_meaning() -> None:
    assert all(when for _, _, when in ROWS)


@pytest.mark.parametrize("enum", [ReasonAction, ReasonCode, RefusalCode])
def test_a_code_is_its_own_name(enum: type[ReasonAction | ReasonCode | RefusalCode]) -> None:
    assert [code.name for code in enum] == [code.value for code in enum]


def test_a_reason_in_json_is_plain_text() -> None:
    reason = Reason(action=ReasonAction.FAULT, code=ReasonCode.CONFLICT, meta={"detail": "x"})
    assert orjson.dumps(reason.as_wire()) == b'{"action":"FAULT","code":"CONFLICT","meta":{"detail":"x"}}'
