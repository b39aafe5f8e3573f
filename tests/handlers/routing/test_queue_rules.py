"""Queue rules: the grammar of criteria, the order of rules, and rules that cannot be read."""

from math import inf, nan
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.documents.stored_values import ForeignValue, StoredDate, StoredDouble
from handlers.routing.queue_rules import (
    Criterion,
    Operator,
    OrgQueueRules,
    RuleHit,
    first_hit,
    org_queue_rules,
    queue_rule_of,
)
from tests.handlers.wire_events import Json
from worker.store.documents import queue_of

ATTRIBUTES: Final[Json] = {
    "channel": "email",
    "tags": ["vip", "refund", 7],
    "score": 7,
    "ratio": 0.5,
    "spam": False,
    "note": None,
    "custom": {"tierStr": "gold", "openedAt": "2024-05-06T07:08:09.000Z", "deep": {"er": 1}},
}


def holds(attribute: str, operator: str, value: Any, attributes: Json = ATTRIBUTES) -> bool:
    criterion = Criterion(path=tuple(attribute.split(".")), operator=Operator(operator), value=value)
    return criterion.holds(attributes)


@pytest.mark.parametrize(
    ("attribute", "operator", "value", "expected"),
    [
        ("channel", "eq", "email", True),
        ("channel", "eq", "Email", False),
        ("custom.tierStr", "eq", "gold", True),
        ("custom.deep.er", "eq", 1, True),
        ("custom.deep", "eq", {"er": 1}, True),
        ("tags", "eq", ["vip", "refund", 7], True),
        ("score", "eq", 7.0, True),
        ("spam", "eq", False, True),
        ("spam", "eq", 0, False),
        ("note", "eq", None, True),
        ("channel", "ne", "email", False),
        ("channel", "ne", "chat", True),
        ("spam", "ne", 0, True),
        ("channel", "in", ["chat", "email"], True),
        ("channel", "in", ["chat"], False),
        ("channel", "in", [], False),
        ("tags", "in", ["vip"], False),
        ("spam", "in", [0], False),
        ("channel", "nin", ["chat"], True),
        ("channel", "nin", ["email"], False),
        ("score", "gt", 6, True),
        ("score", "gt", 7, False),
        ("score", "gte", 7, True),
        ("score", "lt", 7.5, True),
        ("score", "lte", 6, False),
        ("ratio", "lt", 1, True),
        ("custom.openedAt", "gt", "2024-05-06T07:08:08.000Z", True),
        ("custom.openedAt", "lt", "2024-05-06T07:08:08.000Z", False),
        ("channel", "gt", 6, False),
        ("score", "lt", "8", False),
        ("spam", "lt", 1, False),
        ("note", "lt", 1, False),
        ("tags", "contains", "vip", True),
        ("tags", "contains", 7, True),
        ("tags", "contains", True, False),
        ("tags", "contains", "vi", False),
        ("channel", "contains", "mai", True),
        ("channel", "contains", "Mai", False),
        ("score", "contains", 7, False),
        ("custom", "contains", "tierStr", False),
        ("note", "contains", "x", False),
        ("channel", "exists", True, True),
        ("channel", "exists", False, False),
        ("note", "exists", True, True),
    ],
)
def test_a_criterion(attribute: str, operator: str, value: Any, expected: bool) -> None:
    assert holds(attribute, operator, value) is expected


@pytest.mark.parametrize("attribute", ["missing", "custom.missing", "channel.missing", "tags.0", "note.x"])
@pytest.mark.parametrize(
    ("operator", "value", "expected"),
    [
        ("eq", None, False),
        ("ne", "x", True),
        ("in", [None], False),
        ("nin", ["x"], True),
        ("gt", 0, False),
        ("gte", 0, False),
        ("lt", 9, False),
        ("lte", 9, False),
        ("contains", "x", False),
        ("exists", True, False),
        ("exists", False, True),
    ],
)
def test_a_missing_attribute(attribute: str, operator: str, value: Any, expected: bool) -> None:
    assert holds(attribute, operator, value) is expected


def test_values_that_the_store_keeps_in_other_types_compare_as_json() -> None:
    stored = {"at": StoredDate("2024-05-06T07:08:09.000Z"), "score": StoredDouble(7), "by": _object_id()}
    assert holds("at", "gt", "2024-01-01T00:00:00.000Z", stored)
    assert holds("at", "eq", "2024-05-06T07:08:09.000Z", stored)
    assert holds("score", "eq", 7, stored)
    assert holds("score", "lte", 7, stored)
    assert not holds("by", "eq", "5f15ebf357f2a300191ca22c", stored)
    assert holds("by", "exists", True, stored)


def _pattern() -> ForeignValue:
    return ForeignValue(type="Regex", json={"$regularExpression": {"pattern": "spam", "options": "i"}}, raw=object())


def _object_id() -> ForeignValue:
    return ForeignValue(type="ObjectId", json="5f15ebf357f2a300191ca22c", raw=object())


VALUES: Final = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(allow_nan=False, width=16) | st.text("ab", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=5,
)


class TestProperties:
    @given(found=VALUES, value=VALUES)
    def test_a_negation_is_the_opposite(self, found: Any, value: Any) -> None:
        for attributes in ({"x": found}, {}):
            assert holds("x", "ne", value, attributes) is not holds("x", "eq", value, attributes)
            assert holds("x", "nin", [value], attributes) is not holds("x", "in", [value], attributes)
            assert holds("x", "exists", True, attributes) is not holds("x", "exists", False, attributes)

    @given(found=VALUES, value=VALUES)
    def test_in_a_list_of_one_is_equality(self, found: Any, value: Any) -> None:
        assert holds("x", "in", [value], {"x": found}) is holds("x", "eq", value, {"x": found})
        assert holds("x", "contains", value, {"x": [found]}) is holds("x", "eq", value, {"x": found})

    @given(found=VALUES, value=st.integers(-3, 3) | st.text("ab", max_size=3))
    def test_an_order_is_total_on_values_of_one_kind_and_false_on_others(self, found: Any, value: Any) -> None:
        results = [holds("x", operator, value, {"x": found}) for operator in ("lt", "eq", "gt")]
        kinds = (int, float) if isinstance(value, int) else (str,)
        same_kind = isinstance(found, kinds) and not isinstance(found, bool)
        assert results.count(True) == (1 if same_kind else 0)
        for strict, wide in (("lt", "lte"), ("gt", "gte")):
            expected = holds("x", strict, value, {"x": found}) or (same_kind and holds("x", "eq", value, {"x": found}))
            assert holds("x", wide, value, {"x": found}) is expected

    @given(
        attributes=st.dictionaries(st.sampled_from(["a", "b"]), VALUES),
        operator=st.sampled_from(list(Operator)),
        value=VALUES,
    )
    def test_every_rule_that_is_read_can_be_asked(
        self, attributes: dict[str, Any], operator: Operator, value: Any
    ) -> None:
        document = rule(criteria=[{"attribute": "a.b", "operator": operator.value, "value": value}])
        rules = org([document])
        assert len(rules.rules) + len(rules.unreadable) == 1
        assert all("criteria.0.value" in fault for fault in rules.unreadable)
        assert all(read.holds(attributes) in (True, False) for read in rules.rules)


def rule(key: str = "r-1", **fields: Any) -> Json:
    plain = {"org": "o", "position": 1, "enabled": True, "queue": "q", "match": "all", "criteria": []}
    return {"_id": key, **plain, **fields}


def of(operator: str, value: Any, attribute: str = "channel") -> Json:
    return {"attribute": attribute, "operator": operator, "value": value}


EMAIL, CHAT, GOLD = of("eq", "email"), of("eq", "chat"), of("eq", "gold", "custom.tierStr")


@pytest.mark.parametrize(
    ("match", "criteria", "expected"),
    [
        ("all", [EMAIL, GOLD], True),
        ("all", [EMAIL, CHAT], False),
        ("any", [EMAIL, CHAT], True),
        ("any", [CHAT], False),
        ("all", [], True),
        ("any", [], False),
    ],
)
def test_all_or_any_of_the_criteria(match: str, criteria: list[Json], expected: bool) -> None:
    read = queue_rule_of(rule(match=match, criteria=criteria))
    assert read is not None
    assert read.holds(ATTRIBUTES) is expected


def org(rules: list[Json], queues: list[Json] | None = None) -> OrgQueueRules:
    return org_queue_rules(rules, queues or [], queue_of)


class TestTheOrder:
    def test_the_first_that_holds_names_the_queue(self) -> None:
        rules = org(
            [
                rule("r-3", position=3, queue="q-3"),
                rule("r-1", position=1, queue="q-1", criteria=[CHAT]),
                rule("r-2", position=2.5, queue="q-2", criteria=[EMAIL]),
            ]
        )
        assert first_hit(rules, ATTRIBUTES) == RuleHit(queue="q-2", rule="r-2")
        assert first_hit(rules, {"channel": "chat"}) == RuleHit(queue="q-1", rule="r-1")
        assert first_hit(rules, {}) == RuleHit(queue="q-3", rule="r-3")

    def test_rules_of_one_position_go_by_their_ids(self) -> None:
        assert first_hit(org([rule("r-b", queue="b"), rule("r-a", queue="a")]), {}) == RuleHit(queue="a", rule="r-a")

    def test_a_disabled_rule_never_holds_and_its_rest_is_not_read(self) -> None:
        rules = org([rule(enabled=False, criteria="nonsense")])
        assert (first_hit(rules, {}), rules.unreadable) == (None, ())

    @pytest.mark.parametrize(
        "queue", [{"_id": "q-d", "default": True}, {"_id": "q-d", "attributes": {"default": True}}]
    )
    def test_none_holding_it_is_the_default_queue(self, queue: Json) -> None:
        rules = org([rule(criteria=[CHAT])], [{"_id": "q-x", "default": False}, queue])
        assert first_hit(rules, ATTRIBUTES) == RuleHit(queue="q-d")

    def test_without_a_default_queue_there_is_none(self) -> None:
        assert first_hit(org([rule(criteria=[CHAT])], [{"_id": "q-x"}]), ATTRIBUTES) is None


class TestUnreadable:
    @pytest.mark.parametrize(
        ("fields", "said"),
        [
            ({"position": "first"}, 'position is the text "first", not `int | float`'),
            ({"enabled": "yes"}, 'enabled is the text "yes", not `bool`'),
            ({"queue": None}, "queue is null, not `str`"),
            ({"match": "some"}, 'match is the text "some"'),
            ({"criteria": {}}, "criteria is an object, not `array`"),
            ({"criteria": [{"attribute": "a", "operator": "eq"}]}, "criteria.0.value is missing"),
            ({"criteria": [of("like", "x")]}, 'criteria.0.operator is the text "like"'),
            ({"criteria": [of("in", "x")]}, 'criteria.0.value is the text "x", not a list'),
            ({"criteria": [of("nin", None)]}, "criteria.0.value is null, not a list"),
            ({"criteria": [of("exists", 1)]}, "criteria.0.value is the number 1, not true or false"),
            ({"criteria": [EMAIL, of("gt", True)]}, "criteria.1.value is true, not a number or a text"),
            (
                {"criteria": [of("ne", _pattern())]},
                "criteria.0.value is a value of the type Regex, not JSON throughout",
            ),
            ({"criteria": [of("nin", ["x", _pattern()])]}, "criteria.0.value is a list, not JSON throughout"),
            ({"criteria": [of("eq", {"x": [_object_id()]})]}, "criteria.0.value is an object, not JSON throughout"),
            ({"criteria": [of("gt", nan)]}, "criteria.0.value is the number nan, not JSON throughout"),
            ({"criteria": [of("contains", inf)]}, "criteria.0.value is the number inf, not JSON throughout"),
            ({"criteria": [of("eq", 1, "a..b")]}, "criteria.0.attribute is the text"),
            ({"criteria": [of("eq", 1, "")]}, "criteria.0.attribute is the text"),
        ],
        ids=lambda value: "" if isinstance(value, dict) else value[:30],
    )
    def test_a_rule_is_named_and_passed_over(self, fields: Json, said: str) -> None:
        rules = org([rule("r-bad", **fields), rule("r-good", position=2, queue="q-2")])
        assert first_hit(rules, ATTRIBUTES) == RuleHit(queue="q-2", rule="r-good")
        [fault] = rules.unreadable
        assert fault.startswith("r-bad in the store cannot be read: ")
        assert said in fault

    @pytest.mark.parametrize("name", ["position", "enabled", "queue", "match", "criteria"])
    def test_a_field_that_is_missing(self, name: str) -> None:
        document = rule("r-bad")
        del document[name]
        [fault] = org([document]).unreadable
        assert fault == f"r-bad in the store cannot be read: {name} is missing"

    def test_an_operators_words_are_not_quoted(self) -> None:
        [fault] = org([rule("r-bad", criteria=[of("in", "please call me, I am furious")])]).unreadable
        assert fault.endswith("criteria.0.value is a text of 28 characters, not a list")

    def test_so_is_a_rule_of_a_queue_that_cannot_be_read(self) -> None:
        rules = org([rule("r-1", queue="q-bad")], [{"_id": "q-bad", "itemSize": "large"}])
        assert first_hit(rules, ATTRIBUTES) is None
        assert [fault.partition(" ")[0] for fault in rules.unreadable] == ["q-bad", "r-1"]

    @pytest.mark.parametrize("queue", [{"_id": "q-bad", "default": "yes"}, {"_id": "q-bad", "default": True, "key": 1}])
    def test_a_default_queue_that_cannot_be_read_is_none(self, queue: Json) -> None:
        rules = org([], [queue])
        assert rules.default is None
        assert len(rules.unreadable) == 1

    def test_of_two_default_queues_the_lower_id_counts(self) -> None:
        rules = org([], [{"_id": "q-b", "default": True}, {"_id": "q-a", "default": True}])
        assert rules.default == "q-a"
        assert rules.unreadable == ("q-a, q-b in the store are default queues of one org: q-a is taken",)

    def test_a_queue_that_is_not_stored_is_no_fault(self) -> None:
        assert org([rule(queue="q-gone")]).unreadable == ()
