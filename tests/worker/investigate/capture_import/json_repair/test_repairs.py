"""Each form of damage alone: how it is repaired, what is assumed, and what is refused."""

import json

import pytest

from sync.audit import AUDIT_MESSAGE
from tests.handlers.wire_events import conversation, event, log_line, published
from tests.worker.investigate.capture_import.imports import ImportRunner, importing, one_line
from worker.investigate.capture_import.json_repair.repairs import RepairKind, Unreadable
from worker.investigate.capture_import.json_repair.tolerant_reader import read_damaged

__all__ = ["importing"]

_K = RepairKind
USERS = '"assignedUsers"'


def inside(text: str) -> str:
    """A snapshot's attributes with this text in them."""
    return f'{{"data":{{"attributes":{{{text}}}}}}}'


@pytest.mark.parametrize(
    ("damaged", "repaired", "kinds"),
    [
        (inside(f'{USERS}:,"rev":3'), inside(f'{USERS}:[],"rev":3'), [_K.EMPTY_LIST]),
        (inside(f"{USERS}:"), inside(f"{USERS}:[]"), [_K.EMPTY_LIST]),
        (inside(f'{USERS}:"u-1"'), inside(f'{USERS}:["u-1"]'), [_K.LIST_BRACKETS]),
        (inside(f'{USERS}:"a","b","rev":3'), inside(f'{USERS}:["a","b"],"rev":3'), [_K.LIST_BRACKETS]),
        (inside(f'{USERS}:["a","b","rev":3'), inside(f'{USERS}:["a","b"],"rev":3'), [_K.LIST_BRACKETS]),
        (inside(f'{USERS}:"a","b"],"rev":3'), inside(f'{USERS}:["a","b"],"rev":3'), [_K.LIST_BRACKETS]),
        (inside(f'{USERS}:],"rev":3'), inside(f'{USERS}:[],"rev":3'), [_K.EMPTY_LIST]),
        (inside(f"{USERS}:null"), inside(f"{USERS}:null"), []),
        (
            '{"routingReasons":{"action":"A"},{"action":"B"},"persist":true}',
            '{"routingReasons":[{"action":"A"},{"action":"B"}],"persist":true}',
            [_K.LIST_BRACKETS],
        ),
        (
            f'{{"changes":{{"attributes":{{{USERS}:{{"op":"replace","before":"u-1","after":}}}}}}}}',
            f'{{"changes":{{"attributes":{{{USERS}:{{"op":"replace","before":["u-1"],"after":[]}}}}}}}}',
            [_K.LIST_BRACKETS, _K.EMPTY_LIST],
        ),
        ('{"unknown":"a","b","rev":3}', '{"unknown":["a","b"],"rev":3}', [_K.LIST_BRACKETS]),
        ('{"id":"e-1"', '{"id":"e-1"}', [_K.LAST_BRACE]),
        ('{"id":"e-1",}', '{"id":"e-1"}', [_K.TRAILING_COMMA]),
        (inside(f'{USERS}:["a",]'), inside(f'{USERS}:["a"]'), [_K.TRAILING_COMMA]),
        ("{“id”:“e-1”,“name”:“say \\”x\\””}", '{"id":"e-1","name":"say \\"x\\""}', [_K.QUOTES]),
        ("{„id“:„e-1“}", '{"id":"e-1"}', [_K.QUOTES]),
        ('{"id":\u00a0"e-1"}', '{"id": "e-1"}', [_K.BLANKS]),
        ('{"id":"60277\n   f56"}', '{"id":"60277f56"}', [_K.LINE_BREAK]),
        ('{"createdAt":"2021-02-13T07:\r\n27:18.708Z"}', '{"createdAt":"2021-02-13T07:27:18.708Z"}', [_K.LINE_BREAK]),
        ('{"create\ndAt":"2021-02-13T07:27:18.708Z"}', '{"createdAt":"2021-02-13T07:27:18.708Z"}', [_K.LINE_BREAK]),
        (inside('"name":"a\nb c"'), inside('"name":"a\\nb c"'), [_K.LINE_BREAK]),
        (
            '{"Type":"Notification","Message":"{\\"data\\":{\\"attributes\\":{\\"assignedUsers\\":\\"u-1\\"}}}"}',
            '{"Type":"Notification","Message":"{\\"data\\":{\\"attributes\\":{\\"assignedUsers\\":[\\"u-1\\"]}}}"}',
            [_K.JSON_TEXT, _K.LIST_BRACKETS],
        ),
        (
            '{"body":{"name":"n","data":{"id":"c"}},"producer":"SNSEve',
            '{"body":{"name":"n","data":{"id":"c"}}}',
            [_K.CUT_TAIL],
        ),
    ],
)
def test_a_damage_is_repaired_by_the_type_of_its_field(damaged: str, repaired: str, kinds: list[RepairKind]) -> None:
    reading = read_damaged(damaged)
    assert reading.text == repaired
    assert [repair.kind for repair in reading.repairs] == kinds


@pytest.mark.parametrize(
    ("damaged", "reason"),
    [
        (inside('"status":,"rev":3'), "status has no value, and its type does not say which"),
        (inside('"unknown":'), "a field has no value, and its type does not say which"),
        (inside('"status":"open","done"'), "a second value follows status, which is no list"),
        ('{"id":"a","id":"b"', "id stands twice in one object"),
        (inside('"rev":{"a":1}'), "an object or a list stands in the place of a number"),
        ('{"data":{"attributes":{"rev":1,"relationships":{}}', "a closing brace is lost before relationships"),
        ('{"name":"n","data":{"id":"c","attr', "the text is cut off inside the event"),
        ('{"createdAt":"2021-02-\n13 noon"}', "without it the text is no time"),
        ('{"id":NaN}', "no JSON value"),
        ("{" * 100, "no name of a field"),
        ('{"a":' * 100, "nests deeper than 64 levels"),
    ],
)
def test_what_would_be_a_guess_is_refused(damaged: str, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        read_damaged(damaged)


def test_a_repair_is_reported_with_file_line_field_and_assumption(importing: ImportRunner) -> None:
    whole = one_line(event(conversation(2, users=("u-1",))))
    damaged = whole.replace('["u-1"]', '"u-1"')
    imported = importing.text(f"first\n{damaged}\n")
    assert imported.lines == [whole.encode()]
    (repair,) = imported.told("repair")
    assert repair == {
        "file": str(importing.folder / "capture.log"),
        "line": 2,
        "kind": "list-brackets",
        "field": "data.attributes.assignedUsers",
        "assumed": "a list of 1",
    }
    assert (imported.status, imported.counts["repaired"]) == (0, 1)


def test_a_repair_that_contradicts_the_snapshot_is_refused(importing: ImportRunner) -> None:
    made = event(
        conversation(2, users=("u-1",)),
        changes={"attributes": {"assignedUsers": {"op": "replace", "before": ["u-0"], "after": ["u-1"]}}},
    )
    damaged = one_line(made).replace('"after":["u-1"]', '"after":')
    imported = importing.text(f"{damaged}\n")
    assert (imported.status, imported.output) == (1, None)
    assert [each["reason"] for each in imported.told("leftOut")] == [
        "the repaired assignedUsers contradicts itself: `changes` and the snapshot have two values"
    ]


def test_an_event_behind_a_damaged_one_is_found(importing: ImportRunner) -> None:
    first, second = (one_line(event(conversation(rev))) for rev in (2, 3))
    for between in ("", "\n", ",\n", "\nthen, says Anna:\n"):
        imported = importing.text(f"{first[:-30]}{between}{second}")
        assert imported.lines == [second.encode()]
        assert [each["reason"] for each in imported.told("leftOut")] != []


def test_a_part_without_its_beginning_is_reported(importing: ImportRunner) -> None:
    whole = one_line(event(conversation(2)))
    imported = importing.text(f"{whole[40:]}\n{whole}\n")
    assert imported.lines == [whole.encode()]
    assert {each["reason"] for each in imported.told("leftOut")} == {"a part of an object without its beginning"}


@pytest.mark.parametrize(
    "piece", ['{"dd":{', '{"', "{\n", '{"a":', '{"a":1\n}', "{“a“ ", '{"a":1},"', "“", '{"level":3{']
)
def test_thousands_of_beginnings_end_in_a_report(importing: ImportRunner, piece: str) -> None:
    imported = importing.text(piece * 2_000)
    assert (imported.status, imported.output) == (1, None)


@pytest.mark.parametrize("name", ["note.md", "note.log"])
@pytest.mark.parametrize("lost", [2, 300])
@pytest.mark.parametrize("word", ["audit: ", "event: ", "then, says Anna: "])
def test_a_record_behind_a_word_is_found_though_the_event_before_it_is_cut_off(
    importing: ImportRunner, name: str, lost: int, word: str
) -> None:
    first = one_line({**event(conversation(2)), "client": "api"})
    second = one_line(event(conversation(3)))
    audit = one_line(
        {"name": "routing-worker", "hostname": "h", "pid": 1, "msg": AUDIT_MESSAGE, "conversationId": "c-1"}
    )
    imported = importing.text(f"{first[:-lost]}\n\n{word}{second}\n\n{word}{audit}\n", name=name)
    assert sorted(imported.lines) == sorted([second.encode(), audit.encode()])
    assert [(each["line"], each["lastLine"]) for each in imported.told("leftOut")] == [(1, 1)]


@pytest.mark.parametrize("word", ["then: ", '"then": '])
def test_a_record_on_many_lines_behind_a_word_is_found(importing: ImportRunner, word: str) -> None:
    first, second = (event(conversation(rev)) for rev in (2, 3))
    imported = importing.text(f"{one_line(first)[:-2]}\n\n{word}{json.dumps(second, indent=1)}\n", name="note.md")
    assert imported.events == [second]
    assert [each["line"] for each in imported.told("leftOut")] == [1]


def test_a_report_names_the_lines_from_the_first_to_the_last_of_what_is_left_out(importing: ImportRunner) -> None:
    whole = json.dumps(event(conversation(2)), indent=1).replace('"rev": 2', '"rev": ')
    imported = importing.text(f"text\n\n```\n{whole}\n```\n", name="note.md")
    (left_out,) = imported.told("leftOut")
    assert (left_out["line"], left_out["lastLine"]) == (4, 4 + whole.count("\n"))
    fault = 4 + whole[: whole.index('"rev": ')].count("\n")
    assert f"(on line {fault})" in left_out["reason"]


def test_the_lines_of_a_note_are_counted_over_its_blank_ones(importing: ImportRunner) -> None:
    whole = one_line(event(conversation(2, users=("u-1",))))
    cut, damaged = whole[:-300], whole.replace('["u-1"]', '"u-1"')
    imported = importing.text(f"{cut}\n\n\n{damaged}\n", name="note.md")
    assert [each["line"] for each in imported.told("leftOut")] == [1]
    assert [each["line"] for each in imported.told("repair")] == [4]


def test_an_event_in_a_list_that_is_cut_off_behind_its_brace_is_reported(importing: ImportRunner) -> None:
    first, second = (one_line(event(conversation(rev))) for rev in (2, 3))
    imported = importing.text(f"[{first},\n{{,\n{second}]\n")
    assert imported.lines == [first.encode(), second.encode()]
    assert [each["line"] for each in imported.told("leftOut")] == [2]


def test_an_audit_line_is_repaired_too(importing: ImportRunner) -> None:
    whole = one_line(
        {"name": "routing-worker", "hostname": "h", "pid": 1, "updatedConversation": {"assignedUsers": []},
         "msg": AUDIT_MESSAGE, "time": "2022-03-02T19:13:26.510Z", "v": 0}
    )  # fmt: skip
    imported = importing.text(whole.replace(":[]", ":") + "\n")
    assert imported.lines == [whole.encode()]
    assert [each["kind"] for each in imported.told("repair")] == ["empty-list"]


def test_of_an_event_that_lost_its_brace_no_part_is_taken(importing: ImportRunner) -> None:
    whole = one_line(log_line(published(event(conversation(2)))))
    imported = importing.text(whole.replace('},"publishedAt"', ',"publishedAt"') + "\n")
    assert imported.output is None
    assert [each["reason"] for each in imported.told("leftOut")] == ["a closing brace is lost before publishedAt"]
