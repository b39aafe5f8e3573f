"""Which engine carries an update out, how the composed engine is rolled out, and the limit on fields by origin."""

from typing import Final

import pytest
from msgspec.structs import replace

from commands.engines.rollout import DEFAULT_ROLLOUT, FUNNEL_ROW_NAMES, Engine, EngineRollout, UpdateOrigin
from commands.execute import Applied, Refused, Unchanged, execute, not_executed
from commands.reason import Refusal, RefusalCode
from commands.work_item import Status, WorkItem
from tests.commands.engines.test_legacy import COMMAND_NAMES, SAYING
from tests.commands.items import CONTEXT, LEGACY, NOW, Json, applied, parsed
from tests.commands.stages import a

FOUR: Final[Json] = {"queue": "q2", "assignedTo": "u2", "status": "wrap-up", "paused": True}


def rolled_out(*updates: str) -> EngineRollout:
    return EngineRollout(engine=Engine.LEGACY, composed_updates=frozenset(updates))


def limited(**most: int) -> EngineRollout:
    return EngineRollout(fields_max={UpdateOrigin(origin): number for origin, number in most.items()})


def carried_out(
    update: Json, rollout: EngineRollout, *, item: WorkItem | None = None, origin: UpdateOrigin = UpdateOrigin.SYNC
) -> Applied | Unchanged | Refused:
    item = a(Status.ROUTED) if item is None else item
    return execute(item, parsed(update), context=CONTEXT, now=NOW, rollout=rollout, origin=origin)


def refusal_of(update: Json, rollout: EngineRollout, origin: UpdateOrigin = UpdateOrigin.SYNC) -> Refusal | None:
    result = carried_out(update, rollout, origin=origin)
    return result.refusal if isinstance(result, Refused) else None


class TestEngine:
    def test_composed_is_the_default(self) -> None:
        assert EngineRollout() == DEFAULT_ROLLOUT
        result = execute(a(Status.IVR), parsed({"paused": True}), context=CONTEXT, now=NOW)
        assert (result.command.engine, result.command.composed) == (Engine.COMPOSED, True)

    @pytest.mark.parametrize("name", FUNNEL_ROW_NAMES)
    @pytest.mark.parametrize("rollout", [DEFAULT_ROLLOUT, LEGACY], ids=["composed", "legacy"])
    def test_the_way_stands_in_the_command_and_in_the_reason(self, name: str, rollout: EngineRollout) -> None:
        result = carried_out(SAYING[name], rollout)
        composed = rollout is DEFAULT_ROLLOUT
        assert result.command.engine is rollout.engine
        assert result.command.composed is composed
        assert result.command.name == ("composedCommandParams" if composed else COMMAND_NAMES[name])
        assert isinstance(result, Applied)
        assert result.reason.meta["composed"] is composed
        assert result.reason.meta["commandName"] == result.command.name
        assert result.reason.meta["actions"] == list(result.command.actions)
        assert result.command.actions

    def test_the_command_names_the_engine_of_an_update_that_is_refused_or_changes_nothing(self) -> None:
        for rollout in (DEFAULT_ROLLOUT, LEGACY):
            refused = carried_out({"paused": True, "rev": 6}, rollout)
            assert isinstance(refused, Refused)
            unchanged = carried_out({"paused": False}, rollout)
            assert isinstance(unchanged, Unchanged)
            for result in (refused, unchanged):
                assert result.command.engine is rollout.engine
                assert result.command.composed is (rollout is DEFAULT_ROLLOUT)
                assert result.command.fields == ("paused",)

    def test_the_composed_way_drops_nothing(self) -> None:
        assert carried_out(FOUR, DEFAULT_ROLLOUT).command.dropped == ()
        assert carried_out(FOUR, LEGACY).command.dropped == ("assignedTo", "status")

    def test_the_composed_engine_carries_out_resume_alone_whatever_the_setting(self) -> None:
        for rollout in (DEFAULT_ROLLOUT, LEGACY):
            result = carried_out({"resume": True}, rollout, item=a(Status.WRAP_UP))
            assert isinstance(result, Applied)
            assert (result.command.engine, result.command.composed) == (Engine.COMPOSED, True)
            assert result.after.status is Status.ASSIGNED

    def test_an_update_that_cannot_be_read_is_no_engine_s_and_has_no_fields(self) -> None:
        command = not_executed(UpdateOrigin.API)
        assert (command.fields, command.actions, command.dropped, command.origin) == ((), (), (), UpdateOrigin.API)


class TestRollOut:
    @pytest.mark.parametrize("name", FUNNEL_ROW_NAMES)
    def test_one_update_is_composed_and_the_rest_stays_in_the_funnel(self, name: str) -> None:
        rollout = rolled_out(name)
        for other, update in SAYING.items():
            command = carried_out(update, rollout).command
            assert command.composed is (other == name), other
            assert command.engine is (Engine.COMPOSED if other == name else Engine.LEGACY)
            assert command.name == ("composedCommandParams" if other == name else COMMAND_NAMES[other])

    @pytest.mark.parametrize("name", FUNNEL_ROW_NAMES)
    def test_all_but_one(self, name: str) -> None:
        rollout = rolled_out(*(set(FUNNEL_ROW_NAMES) - {name}))
        assert [row for row, update in SAYING.items() if not carried_out(update, rollout).command.composed] == [name]

    @pytest.mark.parametrize("status", [status for status in Status if status is not Status.COMPLETED])
    def test_all_of_them_are_the_composed_engine(self, status: Status) -> None:
        rollout, item = rolled_out(*FUNNEL_ROW_NAMES), a(status, queue="q1")
        for update in (*SAYING.values(), FOUR):
            assert carried_out(update, rollout, item=item) == carried_out(update, DEFAULT_ROLLOUT, item=item)

    def test_an_update_of_several_goes_the_way_of_the_row_that_would_win(self) -> None:
        """Rolling out `assignedTo:null` leaves `queue:null` to the funnel, which drops fields as before."""
        update: Json = {"queue": None, "assignedTo": None, "paused": True}
        first = carried_out(update, rolled_out("queue:null"), item=a(Status.ASSIGNED, queue="q1"))
        later = carried_out(update, rolled_out("assignedTo:null", "paused"), item=a(Status.ASSIGNED, queue="q1"))
        assert (first.command.composed, first.command.dropped) == (True, ())
        assert (later.command.composed, later.command.dropped) == (False, ("assignedTo", "paused"))

    def test_null_and_a_value_are_rolled_out_apart(self) -> None:
        assert carried_out({"queue": "q2"}, rolled_out("queue:null")).command.composed is False
        assert carried_out({"queue": {"id": None}}, rolled_out("queue:null")).command.composed is True
        assert carried_out({"queue": {"key": "support"}}, rolled_out("queue:id")).command.composed is True
        assert carried_out({"assignedTo": "u2"}, rolled_out("assignedTo:null")).command.composed is False

    def test_an_incident_s_update_is_rolled_out_first(self) -> None:
        """The update that a team would roll out first: an un-assignment that the funnel refuses."""
        item, update = a(Status.ASSIGNED), {"assignedTo": None}
        refused = carried_out(update, rolled_out("queue:null"), item=item)
        assert isinstance(refused, Refused)
        assert refused.refusal.code is RefusalCode.NO_QUEUE
        assert applied(item, update, rollout=rolled_out("assignedTo:null")).status is Status.IVR

    def test_the_composed_engine_needs_no_roll_out(self) -> None:
        rollout = EngineRollout(engine=Engine.COMPOSED, composed_updates=frozenset({"paused"}))
        assert all(carried_out(update, rollout).command.composed for update in SAYING.values())


class TestFieldsMax:
    @pytest.mark.parametrize("origin", UpdateOrigin, ids=lambda origin: origin.value)
    @pytest.mark.parametrize("engine", Engine, ids=lambda engine: engine.value)
    def test_more_are_refused_by_origin_and_the_message_names_fields_and_remedy(
        self, origin: UpdateOrigin, engine: Engine
    ) -> None:
        rollout = replace(limited(**{origin.value: 2}), engine=engine)
        update = {"queue": "q2", "assignedTo": "u2", "paused": True}
        refusal = refusal_of(update, rollout, origin)
        assert refusal is not None
        assert refusal.code is RefusalCode.TOO_MANY_FIELDS
        for word in (repr(origin.value), "2 fields", "has 3", "queue, assignedTo, paused", "send them as several"):
            assert word in refusal.message
        for other in UpdateOrigin:
            if other is not origin:
                assert refusal_of(update, rollout, other) is None, f"{other} is not limited"

    @pytest.mark.parametrize("most", [1, 2, 3, 4])
    def test_as_many_as_allowed_are_allowed(self, most: int) -> None:
        for count in range(1, 5):
            update = dict(list(FOUR.items())[:count])
            refusal = refusal_of(update, limited(api=most), UpdateOrigin.API)
            assert (refusal is None) is (count <= most), update

    def test_each_origin_has_its_own(self) -> None:
        rollout = limited(api=1, router=2)
        update = {"queue": "q2", "paused": True}
        assert refusal_of(update, rollout, UpdateOrigin.API) is not None
        assert refusal_of(update, rollout, UpdateOrigin.ROUTER) is None
        assert refusal_of(FOUR, rollout, UpdateOrigin.ROUTER) is not None
        assert refusal_of(FOUR, rollout, UpdateOrigin.SYNC) is None

    def test_the_revision_is_no_field_and_resume_is_one(self) -> None:
        assert refusal_of({"paused": True, "rev": 7}, limited(sync=1)) is None
        refusal = refusal_of({"resume": True, "assignedTo": "u1"}, limited(sync=1))
        assert refusal is not None
        assert "resume" in refusal.message

    def test_a_queue_s_parts_are_one_field(self) -> None:
        update = {"queue.id": "q2", "queue.rule": "r2", "queue.enteredAt": "2022-03-02T18:00:00.000Z"}
        assert refusal_of(update, limited(api=1), UpdateOrigin.API) is None

    def test_it_comes_before_refusals_of_the_work_item(self) -> None:
        completed = a(Status.COMPLETED)
        result = carried_out({**FOUR, "rev": 1}, limited(api=3), item=completed, origin=UpdateOrigin.API)
        assert isinstance(result, Refused)
        assert result.refusal.code is RefusalCode.TOO_MANY_FIELDS
        assert result.command.fields == tuple(FOUR)

    @pytest.mark.parametrize("origin", UpdateOrigin, ids=lambda origin: origin.value)
    def test_where_an_update_came_from_stands_in_its_command(self, origin: UpdateOrigin) -> None:
        for update in ({"paused": True}, {"paused": False}, {"paused": True, "rev": 1}):
            assert carried_out(update, DEFAULT_ROLLOUT, origin=origin).command.origin is origin

    def test_the_default_origin_is_the_sync(self) -> None:
        assert (
            execute(a(Status.IVR), parsed({"paused": True}), context=CONTEXT, now=NOW).command.origin
            is UpdateOrigin.SYNC
        )
