"""Personal data in the places and forms in which a list of what stays could miss it."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from handlers.options import PolicyInUse
from tests.handlers.wire_events import Json, conversation, event, notification, published, queued, read, text
from tests.worker.investigate.capture_import.imports import ImportRunner, importing, one_line
from tests.worker.investigate.explain.stories import Played, by_a_person_in_the_app, by_the_router, over_http
from tests.worker.investigate.explain.test_explain import played
from tests.worker.store.store_bench import MemoryBench
from worker.cli.main import run
from worker.investigate.redaction.redactor import Redactor
from worker.investigate.redaction.stand_ins import StandIns

__all__ = ["importing"]

SECRETS = (
    "anna@example.com",
    "+493012345678",
    "303-555-0100",
    "303.555.0100",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abcDEF",
    "AKIAIOSFODNN7EXAMPLE",
    "sk_live_abcdefghijklmnopqrst",
    "https://hooks.example.com/services/T0/B0/abc",
    "Müller",
    "Anna Schmidt",
)


def redacting() -> Redactor:
    return Redactor(StandIns(b"k" * 16))


def redacted(value: Json | str, redactor: Redactor | None = None) -> str:
    return (redactor or redacting()).redact(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def _event(**fields: Any) -> Json:
    return published({**event(conversation(2)), **fields})


def _attribute(**attributes: Any) -> Json:
    return published(event(conversation(2, **attributes)))


_PLACES: dict[str, Callable[[str], Json]] = {
    "a word": lambda value: _event(client=value),
    "the log's host": lambda value: {**_event(), "hostname": value},
    "the log's message": lambda value: {**_event(), "msg": value},
    "a version": lambda value: {**_event(), "dd": {"version": value}},
    "an id": lambda value: _event(sourceId=value),
    "ids in a list": lambda value: _attribute(tags=[value]),
    "ids in changes": lambda value: _event(
        changes={"attributes": {"assignedUsers": {"op": "replace", "before": [value], "after": []}}}
    ),
    "names and values in changes": lambda value: _event(
        changes={"attributes": {"custom": {"before": {value: [value]}, "after": [[value]]}, value: {"after": value}}}
    ),
    "a name deep in custom": lambda value: _attribute(custom={"a": {"b": [{value: 1}]}}),
    "a time": lambda value: _attribute(createdAt=value),
    "a status": lambda value: _attribute(channel=value),
    "a link": lambda value: {"links": {"self": f"/v1/customers/{value}"}},
    "an attribute of the message": lambda value: queued(_event(), MessageAttributes={value: {"StringValue": value}}),
    "JSON in a text": lambda value: queued(notification(_event(client=value, note={value: value}))),
    "JSON in an unknown text": lambda value: _attribute(custom={"raw": text({"mail": value})}),
    "a reason": lambda value: _event(routingReasons=[{"action": "A", "code": value, "meta": {"detail": value}}]),
}


@pytest.mark.parametrize("value", SECRETS)
@pytest.mark.parametrize("place", _PLACES)
def test_it_is_replaced_and_a_second_run_with_another_key_changes_nothing(place: str, value: str) -> None:
    once = redacted(_PLACES[place](value))
    assert value not in once.encode().decode("unicode-escape")
    assert value not in once
    assert redacted(once, Redactor(StandIns(b"another key here"))) == once


@pytest.mark.parametrize("value", ["4930901820123", "QW5uYSBTY2htaWR0IGFubmFA"])
@pytest.mark.parametrize("place", ["a word", "the log's host", "the log's message", "a status"])
def test_digits_and_base64_are_no_words(place: str, value: str) -> None:
    assert value not in redacted(_PLACES[place](value))


@pytest.mark.parametrize("number", [15551234567, 5551234567, 493090182012])
@pytest.mark.parametrize("name", ["messageCount", "createdAt", "phoneNum"])
def test_a_telephone_number_in_a_number_field(name: str, number: int) -> None:
    once = redacted(_attribute(**{name: number}))
    assert str(number) not in once
    value = json.loads(once)["body"]["data"]["attributes"]
    assert [each for each in value.values() if isinstance(each, int) and each < 0], "a number stays a number"
    assert redacted(once, Redactor(StandIns())) == once


def test_a_value_whose_name_stands_twice_is_replaced() -> None:
    """A parser keeps the last value, and the text holds both."""
    twice = json.dumps(_attribute(name="")).replace('"name": ""', '"name": "Anna Schmidt", "name": ""')
    assert "Schmidt" in twice
    assert "Schmidt" not in redacted(twice)


@pytest.mark.parametrize(
    "value",
    [
        "60277f56264a9600131673d4", "routing-worker", "kustomer.work-item.update", "5126459826517261563", "ip-host-1.x",
        "0f8fad5b-d9cb-469f-a165-70867728950e", "arn:aws:sns:eu-west-1:000000000000:topic", "1646248406158",
    ],
)  # fmt: skip
def test_ids_stay(value: str) -> None:
    for place in ("an id", "ids in a list", "ids in changes"):
        line = _PLACES[place](value)
        assert json.loads(redacted(line)) == line


@pytest.mark.parametrize("at", ["2022-03-02T19:13:26.158Z", 1646248406158, 1646248406, 0, None])
def test_times_stay(at: str | int | None) -> None:
    line = _attribute(createdAt=at)
    assert json.loads(redacted(line)) == line


# The same value


@pytest.mark.parametrize(
    "spellings",
    [
        ["anna@example.com", " Anna@Example.COM", "mailto:anna@example.com"],
        ["anna@müller.de", "anna@xn--mller-kva.de"],
        [
            "+49 30 901820",
            "+49(0)30 901820",
            "0049 30 901820",
            "tel:+49-30-901820",
            "+49 30–901820",
            "＋４９ 30 901820",
        ],
        ["(030) 901820", "030/901820", "030 90 18 20"],
        ["+49 30 901820 ext. 5", "+4930901820 x5", "+49 30 901820 #5"],
    ],
    ids=lambda spellings: spellings[0],
)
def test_the_spellings_of_one_mailbox_or_telephone_have_one_stand_in(spellings: list[str]) -> None:
    stand_ins = StandIns()
    assert len({stand_ins.text(each) for each in spellings}) == 1


def test_other_values_have_other_stand_ins() -> None:
    stand_ins = StandIns()
    values = ["+49 30 901820", "+49 30 901821", "+49 30 901820 ext. 5", "+49 30 901820 ext. 6", "Anna", "anna", "a@b.c"]
    assert len({stand_ins.text(each) for each in values}) == len(values)
    assert len({stand_ins.number(each) for each in range(20_000)}) == 20_000
    assert stand_ins.number(7) == stand_ins.number(7.0)


def test_a_value_has_one_stand_in_in_every_role() -> None:
    """As a person's name, as a text, as the name of a field, in an id."""
    line = {
        "data": {
            "id": "anna@example.com",
            "attributes": {
                "displayName": "Anna Schmidt",
                "preview": "Anna Schmidt",
                "firstName": "anna@example.com",
                "custom": {"anna@example.com": "Anna Schmidt", "Anna Schmidt": 1},
            },
        }
    }
    data = json.loads(redacted(line))["data"]
    attributes = data["attributes"]
    person = attributes["displayName"]
    assert attributes["preview"] == person
    assert attributes["firstName"] == data["id"]
    assert attributes["custom"][data["id"]] == person
    assert set(attributes["custom"]) == {data["id"], person.replace("text-", "field-name-")}


# Traces


HEADERS = {
    "x-datadog-trace-id": "123456",
    "x-datadog-parent-id": "77",
    "x-datadog-tags": "usr.id=anna",
    "mail": "a@b.c",
}


def _carriers() -> list[Json]:
    binary = base64.b64encode(json.dumps(HEADERS).encode()).decode()
    return [
        {"Type": "String", "Value": json.dumps(HEADERS)},
        {"Type": "Binary", "Value": binary},
        {"DataType": "String", "StringValue": json.dumps(HEADERS)},
        {"DataType": "Binary", "BinaryValue": binary},
    ]


@pytest.mark.parametrize("carrier", _carriers(), ids=["text", "binary", "SQS's text", "SQS's binary"])
def test_the_ids_of_a_trace_stay_and_nothing_else_of_its_headers(carrier: Json) -> None:
    name = {"Type": "String", "Value": "kustomer.conversation.update"}
    line = notification(_event(), MessageAttributes={"_datadog": carrier, "name": name})
    if "DataType" in carrier:
        line = queued(_event(), MessageAttributes={"_datadog": carrier})
    once = json.loads(redacted(line))
    assert read(once).trace == read(line).trace == {"trace_id": "123456", "span_id": "77"}
    attributes = once["MessageAttributes"]
    (value,) = [each for key, each in attributes["_datadog"].items() if "Value" in key]
    shown = value if value.startswith("{") else base64.b64decode(value).decode()
    assert json.loads(shown) == {"x-datadog-trace-id": "123456", "x-datadog-parent-id": "77"}
    assert attributes.get("name", name) == name
    assert json.loads(redacted(once, Redactor(StandIns()))) == once


@pytest.mark.parametrize(
    "value",
    ["anna", '{"x-datadog-trace-id":"anna"}', "[1]", "YW5uYQ==", base64.b64encode(b'{"usr":"anna"}').decode(), "/w=="],
)
def test_headers_without_a_trace_are_replaced(value: str) -> None:
    line = notification(_event(), MessageAttributes={"_datadog": {"Type": "Binary", "Value": value}})
    assert value not in json.loads(redacted(line))["MessageAttributes"]["_datadog"]["Value"]


# What the report says


@pytest.mark.parametrize(
    ("damage", "repaired"),
    [
        (('"anna@example.com":["a","b"]', '"anna@example.com":"a","b"'), 1),
        (('{"q":"x"}', '{"q":"x",}'), 1),
        (('{"q":"x"}', '{"q":"x\ny"}'), 1),
        (('"q":"x"', '"q":“x”'), 1),
        (('"anna@example.com":["a","b"]', '"anna@example.com":,'), 0),
        (('"anna@example.com":[', '"anna@example.com" ['), 0),
        (('"Schmidt":{', '"anna@example.com":“1”,"Schmidt":{'), 0),
    ],
)
@pytest.mark.parametrize("for_readers", [False, True])
def test_a_report_of_damage_shows_no_name_that_a_customer_wrote(
    damage: tuple[str, str],
    repaired: int,
    for_readers: bool,
    importing: ImportRunner,
    capsys: pytest.CaptureFixture[str],
) -> None:
    whole = one_line(event(conversation(2, custom={"anna@example.com": ["a", "b"], "Schmidt": {"q": "x"}})))
    assert damage[0] in whole
    imported = importing.text(whole.replace(*damage), redact=True)
    assert imported.counts["repaired"] == repaired
    assert (imported.status, imported.counts["leftOut"]) == ((0, 0) if repaired else (1, 1))
    told = json.dumps(imported.report) + "".join(imported.err)
    if for_readers:
        run(["import", importing.file(whole.replace(*damage)), "-o", str(importing.folder / "out.ndjson")])
        told = "".join(capsys.readouterr())
    assert [each for each in ("anna", "Schmidt") if each in told] == []


def test_an_audit_line_that_nests_too_deep_is_left_out(importing: ImportRunner) -> None:
    deep: Any = []
    for _ in range(900):
        deep = [deep]
    line = {"msg": "CONVERSATION_SYNC_AUDIT", "conversationId": "c-1", "outcome": "applied", "x": deep}
    imported = importing.text(json.dumps(line), redact=True)
    assert [each["reason"] for each in imported.told("leftOut")] == ["nests deeper than 64 levels"]


def test_texts_within_texts_exhaust_nothing() -> None:
    inner = {"name": "Anna Schmidt"}
    for _ in range(5):
        deep: Json = {"Message": json.dumps(inner)}
        for _ in range(60):
            deep = {"body": deep}
        inner = deep
    assert "Schmidt" not in redacted(inner)


# The worker's own lines


@pytest.mark.parametrize("policy", [PolicyInUse.CAUSAL, PolicyInUse.LEGACY])
@pytest.mark.parametrize("story", [by_a_person_in_the_app, by_the_router, over_http], ids=lambda story: story.__name__)
async def test_audit_lines_of_the_worker_stay(story: Callable[[Played], Any], policy: PolicyInUse) -> None:
    on_it = await played(MemoryBench(), story, policy=policy)
    assert len(on_it.lines) > 2
    for line in on_it.lines:
        assert json.loads(redacted(line)) == line


def test_changes_that_an_audit_line_tells_stay() -> None:
    told = {"queue": {"before": {"id": "q-1"}, "after": None}, "assignedTo": {"before": "u-1", "after": None}}
    line = {"written": [{"side": "work-item", "id": "w-1", "rev": 3, "changes": told}], "event": {"changes": told}}
    assert json.loads(redacted(line)) == line
