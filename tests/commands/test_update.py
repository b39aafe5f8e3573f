"""What an update may contain (docs/commands.md): nested and dotted keys, aliases, and every fault named at once."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commands.reason import Refusal, RefusalCode
from commands.update import UNSET, Acceptance, Offer, QueueChoice, Update, parse_update
from commands.work_item import Status
from tests.commands.items import Json, parsed


def nested(levels: int) -> list[Any]:
    """A list in a list, deeper than Python's recursion goes."""
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


def faults(raw: object, *, from_sync: bool = False) -> list[str]:
    """The faults of an update that must be refused as invalid."""
    refusal = parse_update(raw, from_sync=from_sync)
    assert isinstance(refusal, Refusal), refusal
    assert refusal.code is RefusalCode.INVALID_UPDATE
    return refusal.message.split("; ")


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({"queue": None}, Update(queue=None)),
        ({"queue": {"id": None}}, Update(queue=None)),
        ({"queue": "q1"}, Update(queue=QueueChoice(id="q1"))),
        ({"queue": {"id": "q1"}}, Update(queue=QueueChoice(id="q1"))),
        ({"queue": {"key": "sales"}}, Update(queue=QueueChoice(key="sales"))),
        ({"queue": {"id": "q1", "rule": "r1"}}, Update(queue=QueueChoice(id="q1", rule="r1"))),
        (
            {"queue": {"id": "q1", "enteredAt": "2022-03-02T19:13:26.158Z"}},
            Update(queue=QueueChoice(id="q1", entered_at=datetime(2022, 3, 2, 19, 13, 26, 158_000, tzinfo=UTC))),
        ),
        (
            {"queue": {"key": "sales", "enteredAt": "2022-03-02T20:13:26+01:00"}},
            Update(queue=QueueChoice(key="sales", entered_at=datetime(2022, 3, 2, 19, 13, 26, tzinfo=UTC))),
        ),
        ({"assignedTo": None}, Update(assigned_to=None)),
        ({"assignedTo": "u1"}, Update(assigned_to="u1")),
        ({"status": "wrap-up"}, Update(status=Status.WRAP_UP)),
        ({"status": "completed"}, Update(status=Status.COMPLETED)),
        ({"paused": True}, Update(paused=True)),
        ({"paused": False}, Update(paused=False)),
        ({"routed": {"to": "u1"}}, Update(routed=Offer(kind="to", user="u1"))),
        ({"routed": {"to": "u1", "workSession": "s"}}, Update(routed=Offer(kind="to", user="u1", session="s"))),
        ({"routed": {"rejectedBy": "u1"}}, Update(routed=Offer(kind="rejectedBy", user="u1"))),
        ({"routed": {"timedOut": "u1"}}, Update(routed=Offer(kind="timedOut", user="u1"))),
        ({"accepted": {"by": "u1"}}, Update(accepted=Acceptance(by="u1"))),
        ({"accepted": {"by": "u1", "workSession": "s"}}, Update(accepted=Acceptance(by="u1", session="s"))),
        ({"accepted": {"by": "u1"}, "paused": True}, Update(accepted=Acceptance(by="u1"), paused=True)),
        ({"paused": True, "rev": 3}, Update(paused=True, rev=3)),
    ],
    ids=str,
)
def test_read(raw: Json, expected: Update) -> None:
    assert parse_update(raw) == expected


def test_a_field_that_is_not_named_is_not_cleared() -> None:
    assert parsed({"paused": True}).assigned_to is UNSET
    assert parsed({"paused": True}).queue is UNSET


@pytest.mark.parametrize(
    ("alias", "status"),
    [("wrapUp", "wrap-up"), ("wrapup", "wrap-up"), ("complete", "completed")],
)
def test_aliases(alias: str, status: str) -> None:
    assert parse_update({"status": alias}) == parse_update({"status": status})


@pytest.mark.parametrize(
    ("dotted", "nested"),
    [
        ({"queue.id": None}, {"queue": {"id": None}}),
        ({"queue.id": "q1"}, {"queue": {"id": "q1"}}),
        ({"queue.id": "q1", "queue.rule": "r1"}, {"queue": {"id": "q1", "rule": "r1"}}),
        ({"queue": {"id": "q1"}, "queue.rule": "r1"}, {"queue": {"id": "q1", "rule": "r1"}}),
        ({"queue.rule": "r1", "queue": {"id": "q1"}}, {"queue": {"id": "q1", "rule": "r1"}}),
        ({"queue.key": "sales", "assignedTo": None}, {"queue": {"key": "sales"}, "assignedTo": None}),
        ({"routed.to": "u1", "routed.workSession": "s"}, {"routed": {"to": "u1", "workSession": "s"}}),
        ({"routed.rejectedBy": "u1"}, {"routed": {"rejectedBy": "u1"}}),
        ({"routed.timedOut": "u1"}, {"routed": {"timedOut": "u1"}}),
        ({"accepted.by": "u1", "paused": True}, {"accepted": {"by": "u1"}, "paused": True}),
    ],
    ids=str,
)
def test_dotted_keys_mean_the_same_as_nested_ones(dotted: Json, nested: Json) -> None:
    assert parse_update(dotted) == parse_update(nested)
    assert isinstance(parse_update(dotted), Update)


@pytest.mark.parametrize(
    ("raw", "named"),
    [
        ({}, "empty"),
        ({"rev": 3}, "empty"),
        ([], "object"),
        (None, "object"),
        ("queue", "object"),
        ({"colour": "red"}, "colour"),
        ({"Status": "completed"}, "Status"),
        ({"resume": True}, "resume"),
        ({"queue": 5}, "queue"),
        ({"queue": ""}, "queue"),
        ({"queue": []}, "queue"),
        ({"queue": {}}, "queue"),
        ({"queue": {"rule": "r1"}}, "queue"),
        ({"queue": {"id": 5}}, "queue.id"),
        ({"queue": {"id": "q1", "name": "x"}}, "queue.name"),
        ({"queue": {"id": "q1", "key": "sales"}}, "queue"),
        ({"queue": {"id": None, "rule": "r1"}}, "queue"),
        ({"queue": {"id": "q1", "rule": 1}}, "queue.rule"),
        ({"queue": {"id": "q1", "enteredAt": "yesterday"}}, "queue.enteredAt"),
        ({"queue": {"id": "q1", "enteredAt": "2022-03-02T19:13:26"}}, "queue.enteredAt"),
        ({"queue": {"id": "q1", "enteredAt": 1646248406158}}, "queue.enteredAt"),
        ({"queue": "q1", "queue.rule": "r1"}, "queue"),
        ({"queue": {"id": "q1"}, "queue.id": "q2"}, "queue"),
        ({"assignedTo": 5}, "assignedTo"),
        ({"assignedTo": ""}, "assignedTo"),
        ({"assignedTo": ["u1"]}, "assignedTo"),
        ({"status": "open"}, "status"),
        ({"status": "queued"}, "status"),
        ({"status": "Completed"}, "status"),
        ({"status": None}, "status"),
        ({"status": ["completed"]}, "status"),
        ({"paused": None}, "paused"),
        ({"paused": "true"}, "paused"),
        ({"paused": 1}, "paused"),
        ({"paused.x": True}, "paused"),
        ({"routed": {}}, "routed"),
        ({"routed": None}, "routed"),
        ({"routed": "u1"}, "routed"),
        ({"routed": {"to": "u1", "timedOut": "u1"}}, "routed"),
        ({"routed": {"to": None}}, "routed.to"),
        ({"routed": {"to": 5}}, "routed.to"),
        ({"routed": {"to": "u1", "colour": 1}}, "routed.colour"),
        ({"routed": {"timedOut": "u1", "workSession": "s"}}, "routed.workSession"),
        ({"accepted": {}}, "accepted.by"),
        ({"accepted": None}, "accepted"),
        ({"accepted": {"by": "u1", "workSession": 5}}, "accepted.workSession"),
        ({"paused": True, "rev": 0}, "rev"),
        ({"paused": True, "rev": -1}, "rev"),
        ({"paused": True, "rev": True}, "rev"),
        ({"paused": True, "rev": "3"}, "rev"),
        ({"paused": True, "rev": None}, "rev"),
    ],
    ids=str,
)
def test_a_fault_is_refused_and_named(raw: Any, named: str) -> None:
    [fault] = faults(raw)
    assert named in fault


def test_every_fault_is_named_at_once() -> None:
    named = faults(
        {
            "colour": "red",
            "queue": {"id": 5, "enteredAt": "x", "name": "y"},
            "assignedTo": 7,
            "status": "open",
            "paused": "yes",
            "routed": {"to": 3},
            "accepted": {"by": None},
            "rev": 0,
        }
    )
    for field in (
        "colour", "queue.id", "queue.enteredAt", "queue.name", "assignedTo", "status", "paused", "routed.to",
        "accepted.by", "rev",
    ):  # fmt: skip
        assert any(field in fault for fault in named), field
    assert len(named) == 10


def test_a_fault_shows_a_long_value_shortened() -> None:
    [fault] = faults({"status": "x" * 5000})
    assert len(fault) < 200


def test_resume_is_the_syncs_alone() -> None:
    assert parse_update({"resume": True}, from_sync=True) == Update(resume=True)
    assert "resume" in faults({"resume": True})[0]
    assert "resume" in faults({"resume": "yes"}, from_sync=True)[0]
    assert "empty" in faults({"resume": False}, from_sync=True)[0]


def test_an_update_is_not_the_syncs_by_default() -> None:
    assert isinstance(parse_update({"resume": True}), Refusal)


def test_a_resume_written_out_and_read_again_is_the_same() -> None:
    assert Update(resume=True, paused=False).as_wire() == {"paused": False, "resume": True}
    assert parse_update(Update(resume=True).as_wire(), from_sync=True) == Update(resume=True)


def test_the_revision_that_a_sync_knew_is_accepted_and_is_no_field_of_the_update() -> None:
    assert parse_update({"paused": True, "resource": {"rev": 4}}, from_sync=True) == Update(paused=True)


def test_a_whole_number_is_whole_in_either_spelling() -> None:
    assert parse_update({"paused": True, "rev": 3.0}) == Update(paused=True, rev=3)
    assert parse_update({"paused": True, "rev": 2**53 - 1}) == Update(paused=True, rev=2**53 - 1)
    for rev in (3.5, 0.0, float("inf"), float("nan"), -1.0, 2**53, float(2**53), 10**400):
        [fault] = faults({"paused": True, "rev": rev})
        assert fault.startswith("'rev' must be a whole number above 0")


class TestTheRevisionThatAClientKnew:
    def test_it_is_read_in_either_form_beside_other_parts_of_the_resource(self) -> None:
        expected = Update(paused=True, resource_rev=4)
        assert parse_update({"paused": True, "resource": {"id": "c1", "rev": 4}}) == expected
        assert parse_update({"paused": True, "resource.rev": 4}) == expected
        assert parse_update({"paused": True, "resource": {"id": "c1", "rev": None}}) == Update(paused=True)

    def test_it_makes_no_update_by_itself(self) -> None:
        [fault] = faults({"resource": {"rev": 4}, "rev": 2})
        assert fault.startswith("the update is empty")

    @pytest.mark.parametrize(("rev", "shown"), [(0, "0"), (-1, "-1"), (True, "true"), ("4", "'4'"), (1.5, "1.5")])
    def test_another_value_is_a_fault(self, rev: object, shown: str) -> None:
        assert faults({"paused": True, "resource": {"rev": rev}}) == [
            f"'resource.rev' must be a whole number above 0, not {shown}"
        ]

    def test_another_resource_is_a_fault(self) -> None:
        assert faults({"paused": True, "resource": "c1"}) == ["'resource' must be an object, not 'c1'"]


def test_an_id_that_the_reader_of_events_refuses_is_a_fault() -> None:
    assert faults({"assignedTo": "u" * 257, "queue": "q" * 300}) == [
        "'queue' must have at most 256 characters, not 300",
        "'assignedTo' must have at most 256 characters, not 257",
    ]
    assert isinstance(parse_update({"assignedTo": "u" * 256}), Update)


ids = st.sampled_from(["u1", "q1", "r1", "s1"])
instants = st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1), timezones=st.just(UTC)).map(  # noqa: DTZ001 – Hypothesis adds the zone
    lambda instant: instant.replace(microsecond=instant.microsecond // 1000 * 1000)
)
choices = st.one_of(
    st.builds(QueueChoice, id=ids, rule=st.none() | ids, entered_at=st.none() | instants),
    st.builds(QueueChoice, key=ids, rule=st.none() | ids, entered_at=st.none() | instants),
)
plain_updates = st.builds(
    Update,
    queue=st.just(UNSET) | st.none() | choices,
    assigned_to=st.just(UNSET) | st.none() | ids,
    status=st.sampled_from([UNSET, Status.WRAP_UP, Status.COMPLETED]),
    paused=st.just(UNSET) | st.booleans(),
).filter(lambda update: bool(update.as_wire()))
lonely_updates = st.one_of(
    st.builds(Update, routed=st.builds(Offer, kind=st.just("to"), user=ids, session=st.none() | ids)),
    st.builds(Update, routed=st.builds(Offer, kind=st.sampled_from(["rejectedBy", "timedOut"]), user=ids)),
    st.builds(
        Update,
        accepted=st.builds(Acceptance, by=ids, session=st.none() | ids),
        paused=st.just(UNSET) | st.booleans(),
    ),
)


@given(plain_updates | lonely_updates)
def test_an_update_written_out_and_read_again_is_the_same(update: Update) -> None:
    assert parse_update(update.as_wire()) == update


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
names = st.sampled_from(
    ["queue", "queue.id", "queue.key", "assignedTo", "status", "paused", "routed", "routed.to", "accepted", "rev",
     "resource", "resume", "queue.", ".id", "."]
)  # fmt: skip


@given(st.dictionaries(names | st.text(max_size=6), json_values, max_size=5), st.booleans())
def test_any_json_is_parsed_or_refused_and_never_raises(raw: Json, from_sync: bool) -> None:
    result = parse_update(raw, from_sync=from_sync)
    assert isinstance(result, Update | Refusal)
    if isinstance(result, Refusal):
        assert result.message


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ({"queue": nested(100_000)}, "[[[[...]]]]"),
        ({"assignedTo": {"x" * 10_000: nested(100_000)}}, "{'" + "x" * 35 + "..."),
        ({"assignedTo": "x" * 10_000, "paused": "y" * 10_000}, "'" + "y" * 36 + "..."),
        ({"x" * 10_000: 1}, "'" + "x" * 36 + "..."),
        ({"queue": {"x" * 10_000: 1}}, "'queue." + "x" * 30 + "..."),
        ({"x" * 10_000: {}, "x" * 10_000 + ".y": 1, "z": [None] * 100_000}, "'" + "x" * 36 + "..."),
        ({"paused": None}, "not null"),
        ({"rev": True, "paused": True}, "not true"),
    ],
)
def test_a_wrong_value_is_shown_shortened_and_as_json_names_it(raw: Json, shown: str) -> None:
    message = "; ".join(faults(raw))
    assert shown in message
    assert len(message) < 1_000
