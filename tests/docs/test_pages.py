"""The pages say what the code says: generated blocks are up to date, and tables written by hand are complete."""

import json
import re
from pathlib import Path
from types import ModuleType

import pytest

import commands.engines.composed
import commands.engines.legacy
import commands.reason
import commands.timings
import commands.update
import handlers.routing.queue_rules
import sync.contract
import sync.gates
import sync.rules_forward
import sync.rules_reverse
from commands.engines.legacy import FUNNEL
from commands.reason import ReasonCode, RefusalCode
from docs.generators.blocks import BLOCKS, ROOT, docstring_table, names_in, pages, with_blocks
from docs.generators.permutations import page
from docs.generators.structure import without_detours
from handlers.events.event import RejectionCode
from handlers.events.readers import READERS_BY_NAME
from sync.audit import AuditOutcome, AuditRecord
from sync.conversation import FIELDS
from sync.gates import Policy
from sync.state.sync_state import SyncState
from tests.compiled_build.of_the_source import OF_THE_SOURCE
from worker.consumer.settlement import ReturnReason
from worker.settings.table import setting_rows
from worker.store.state_document import state_document
from worker.store.transaction.steps import COMMIT_ID

pytestmark = OF_THE_SOURCE

LOG_KEYS = {"name", "hostname", "pid", "level", "msg", "time", "v"}


def page_text(name: str) -> str:
    return (ROOT / "docs" / f"{name}.md").read_text()


def cells(name: str, head: str) -> list[list[str]]:
    """The rows of the page's table with this head, cell by cell."""
    lines = page_text(name).partition(f"{head}\n")[2].splitlines()[1:]
    end = next((index for index, line in enumerate(lines) if not line.startswith("|")), len(lines))
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[:end]]


def named(cell: str) -> list[str]:
    """The names in back quotes."""
    return re.findall(r"`([^`]+)`", cell)


@pytest.mark.parametrize("path", pages(), ids=lambda path: path.name)
def test_the_generated_blocks_are_up_to_date(path: Path) -> None:
    """Else: `make docs`."""
    text = path.read_text()
    assert with_blocks(text) == text


def test_every_block_has_its_one_place() -> None:
    assert sorted(name for path in pages() for name in names_in(path.read_text())) == sorted(BLOCKS)


@pytest.mark.parametrize(
    ("holder", "rows"),
    [
        (sync.rules_reverse, 7),
        (sync.rules_forward, 10),
        (sync.gates, len(sync.gates.SKIP_CODES)),
        (commands.engines.legacy, len(FUNNEL)),
        (commands.reason, len(ReasonCode)),
        (RefusalCode, len(RefusalCode)),
        (commands.update, 9),
        (commands.engines.composed, 10),
        (commands.timings, 9),
        (sync.contract, 3),
        (handlers.routing.queue_rules, 7),
    ],
    ids=lambda value: "" if isinstance(value, int) else value.__name__,
)
def test_a_docstrings_table_has_so_many_rows(holder: ModuleType | type, rows: int) -> None:
    assert len(docstring_table(holder).splitlines()) == rows + 2


def test_a_docstring_without_a_table_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"docs\.generators\.blocks has no table"):
        docstring_table(__import__("docs.generators.blocks", fromlist=["blocks"]))


def test_a_block_without_a_generator_is_an_error() -> None:
    with pytest.raises(KeyError, match="nothing of ours"):
        with_blocks("<!-- generated: nothing of ours -->\n<!-- end -->\n")


def test_the_permutations_are_those_of_the_engines() -> None:
    """`make docs` writes the page; it has a row for every combination in every active status.

    It varies the sessions for each update that may take one, and has all pairs of sessions of one user, twice."""
    shown = page_text("permutations")
    assert shown == page()
    combinations, _, sessions = shown.partition("\n## Sessions\n")
    assert combinations.count("\n| ") == 5 * (80 + 1)
    assert sessions.count("| none | free | full | locked | ended |") == 5 + 2
    assert sessions.count("\n| ") == 5 * (7 + 1) + 2 * (5 + 1)


def test_the_settings_are_all_there() -> None:
    rows = cells("settings", "| variable | default | meaning |")
    assert [row[0] for row in rows] == [f"`{row.name}`" for row in setting_rows()]


@pytest.mark.parametrize(
    "path", [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))], ids=lambda path: path.name
)
def test_nothing_is_left_to_be_filled_in(path: Path) -> None:
    assert re.findall(r"@[A-Z]+@", path.read_text()) == []


def test_the_composed_table_names_every_field_of_an_update() -> None:
    told = docstring_table(commands.engines.composed)
    for name in ("queue", "assignedTo", "status", "paused", "resume", "routed", "accepted"):
        assert f"`{name}" in told


def test_the_gates_table_names_the_skip_codes_in_their_order() -> None:
    rows = docstring_table(sync.gates).splitlines()[2:]
    assert [named(row)[0] for row in rows] == [code.value for code in sync.gates.SKIP_CODES]


def test_the_refusal_table_names_the_codes_in_their_order() -> None:
    rows = docstring_table(RefusalCode).splitlines()[2:]
    assert [named(row)[0] for row in rows] == [code.value for code in RefusalCode]


def test_the_funnels_table_has_its_rows() -> None:
    rows = [
        [cell.strip() for cell in row.strip("|").split("|")]
        for row in docstring_table(commands.engines.legacy).splitlines()[2:]
    ]
    assert [(named(row[1])[0], row[2]) for row in rows] == [(row.name, row.command) for row in FUNNEL]


def test_the_shared_fields_are_all_described() -> None:
    rows = cells("rules", "| shared field | the conversation's side | the work-item's side |")
    assert [named(row[0])[0] for row in rows] == list(FIELDS)


def test_the_sync_states_names_are_all_described() -> None:
    rows = cells("rules", "| name | meaning |")
    told = [name.partition("[")[0].split(".")[0] for row in rows for name in named(row[0]) if not name.startswith(".")]
    stored = set(state_document("c", SyncState())) - {"_id"} | {COMMIT_ID}
    assert set(told) == stored


def test_the_names_handled_are_all_there() -> None:
    assert [named(row[0])[0] for row in cells("events", "| name | side |")] == list(READERS_BY_NAME)


def audit_keys() -> set[str]:
    record = AuditRecord(
        event=None,
        outcome=AuditOutcome.SKIPPED,
        trigger=None,
        policy=Policy.CAUSAL,
        reasons=(),
        conversation_id=None,
        client="crm",
    )
    return set(record.as_wire()) | LOG_KEYS


def test_the_audit_lines_keys_are_all_described() -> None:
    rows = cells("events", "| key | value |")
    assert {name for row in rows for name in named(row[0])} == audit_keys()


def test_the_audit_lines_example_has_every_key() -> None:
    example = json.loads(page_text("events").partition("```json\n")[2].partition("```")[0])
    assert set(example) == audit_keys() - {"client"}


@pytest.mark.parametrize(
    ("head", "codes"),
    [("| `error_code` | when | set in `handlers/events/` by |", RejectionCode), ("| reason | when |", ReturnReason)],
    ids=["dead letters", "settlement"],
)
def test_a_table_of_codes_has_them_all(head: str, codes: type[RejectionCode | ReturnReason]) -> None:
    assert [named(row[0])[0] for row in cells("events", head)] == [code.value for code in codes]


def test_the_dead_letters_table_names_the_files_that_set_each_code() -> None:
    texts = {path.name: path.read_text() for path in (ROOT / "handlers" / "events").glob("*.py")}
    for code, _, files in cells("events", "| `error_code` | when | set in `handlers/events/` by |"):
        setting = {name for name, text in texts.items() if f"RejectionCode.{named(code)[0]}" in text}
        assert {name for name in named(files) if name.endswith(".py")} == setting


class TestTheStructure:
    def test_an_import_that_a_longer_way_implies_is_not_drawn(self) -> None:
        imports = {"a": frozenset("bc"), "b": frozenset("c"), "c": frozenset[str]()}
        assert without_detours(imports) == {"a": frozenset("b"), "b": frozenset("c"), "c": frozenset()}

    def test_a_cycle_keeps_its_arrows(self) -> None:
        imports = {"a": frozenset("bc"), "b": frozenset("c"), "c": frozenset("b")}
        assert without_detours(imports) == imports
