"""The stored forms: the dotted paths that a write sets, and the sync state as a document."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from handlers.documents.document import snapshot_of
from handlers.events.event import Event, Malformed
from handlers.events.parser import read_object
from sync.conversation import FIELDS
from sync.state.revision_runs import RevisionRuns, with_revision
from sync.state.sync_state import DoneBy, RecordedWait, SyncState, ViewedValue, Waiting
from tests.handlers.events.test_parser_properties import scalars
from tests.handlers.wire_events import Json, conversation, event
from tests.handlers.world import World
from worker.store.state_document import state_document, state_of
from worker.store.transaction.changed_paths import ChangedPaths, changed_paths


def applied(document: Json, paths: ChangedPaths) -> Json:
    """The document after MongoDB's `$set` and `$unset` with these paths. Each dot enters one level."""
    after: Json = orjson.loads(orjson.dumps(document))
    for path, value in paths.set.items():
        *rollout, last = path.split(".")
        level = after
        for step in rollout:
            level = level.setdefault(step, {})
        level[last] = value
    for path in paths.unset:
        *rollout, last = path.split(".")
        level = after
        for step in rollout:
            level = level.get(step, {})
        level.pop(last, None)
    return after


def exactly(document: object) -> bytes:
    """The value as JSON text, in which 1, 1.0 and true differ."""
    return orjson.dumps(document, option=orjson.OPT_SORT_KEYS)


names = st.sampled_from(["a", "b", "a.b", "$a", "", "status"]) | st.text(max_size=3)
values = scalars | st.lists(scalars, max_size=2)
levels = st.dictionaries(names, values, max_size=4)


@st.composite
def documents(draw: st.DrawFn) -> Json:
    """Documents as they are stored: dotted paths can name each top field."""
    return {
        "_id": "c-1",
        "rev": draw(st.integers(min_value=1, max_value=3)),
        "attributes": draw(levels),
        "relationships": draw(st.none() | levels),
        **draw(st.dictionaries(st.sampled_from(["links", "type", "meta"]), values)),
    }


class TestPaths:
    def test_only_changed_paths_are_set(self) -> None:
        before = {
            "_id": "c",
            "rev": 1,
            "attributes": {"status": "open", "old": 1, "gone": 1},
            "relationships": {"q": 1},
        }
        after = {
            "_id": "c",
            "rev": 2,
            "attributes": {"status": "done", "old": 1, "new": None},
            "relationships": {"q": 1},
        }
        assert changed_paths(before, after) == ChangedPaths(
            set={"rev": 2, "attributes.status": "done", "attributes.new": None}, unset=("attributes.gone",)
        )

    def test_no_change_sets_no_path(self) -> None:
        document = {"_id": "c", "attributes": {"a.b": 1, "$c": 2}, "relationships": None}
        assert changed_paths(document, dict(document)) == ChangedPaths(set={}, unset=())

    @pytest.mark.parametrize("name", ["a.b", "$set", ".", "", "a."])
    @pytest.mark.parametrize("old", [{}, {"x": 1}], ids=["new", "changed"])
    def test_a_name_that_no_path_can_contain_sets_the_whole_level(self, name: str, old: Json) -> None:
        before = {"attributes": {"kept": 1, **({name: 0} if old else {})}, "relationships": {"q": 1}}
        after = {"attributes": {"kept": 1, name: 1}, "relationships": {"q": 2}}
        expected = ChangedPaths(set={"attributes": after["attributes"], "relationships.q": 2}, unset=())
        assert changed_paths(before, after) == expected
        gone = changed_paths(after, {"attributes": {"kept": 1}, "relationships": {"q": 2}})
        assert gone == ChangedPaths(set={"attributes": {"kept": 1}}, unset=())

    def test_an_unchanged_name_of_that_kind_has_no_effect(self) -> None:
        before, after = {"attributes": {"a.b": 1, "c": 1}}, {"attributes": {"a.b": 1, "c": 2}}
        assert changed_paths(before, after) == ChangedPaths(set={"attributes.c": 2}, unset=())

    @pytest.mark.parametrize(("before", "after"), [(None, {"q": 1}), ({"q": 1}, None), ({"q": 1}, 7)], ids=repr)
    def test_an_added_or_removed_level_is_set_as_a_whole(self, before: Any, after: Any) -> None:
        assert changed_paths({"relationships": before}, {"relationships": after}) == ChangedPaths(
            set={"relationships": after}, unset=()
        )
        assert changed_paths({"relationships": before}, {}) == ChangedPaths(set={}, unset=("relationships",))

    @pytest.mark.parametrize("name", ["a.b", "$set", ""])
    async def test_a_top_name_that_no_path_can_contain_is_stored_unchanged_or_refused(self, name: str) -> None:
        """A top field has no level to set as a whole. As a path, `a.b` writes b into a, and `$set` is an error."""
        data = {**conversation(2), name: 1}
        newer = read_object(event(data))
        if isinstance(newer, Malformed):
            return
        assert isinstance(newer, Event)
        world = World().put(conversation(1))
        await world.handle([newer])
        stored = world.store.conversation("c-1")
        assert stored is not None
        assert snapshot_of(stored) == data

    @pytest.mark.parametrize(("old", "new"), [(1, True), (0, False), ([1], [True])], ids=repr)
    def test_values_that_are_equal_in_python_only(self, old: Any, new: Any) -> None:
        before, after = {"attributes": {"custom": old}}, {"attributes": {"custom": new}}
        assert exactly(applied(before, changed_paths(before, after))) == exactly(after)

    @given(before=documents(), after=documents())
    @settings(max_examples=30, deadline=None)
    def test_set_and_unset_turn_before_into_after(self, before: Json, after: Json) -> None:
        paths = changed_paths(before, after)
        assert applied(before, paths) == after
        assert not set(paths.set) & set(paths.unset)
        # MongoDB refuses two paths of which one leads through the other.
        tops = {path for path in (*paths.set, *paths.unset) if "." not in path}
        assert not {path for path in (*paths.set, *paths.unset) if "." in path and path.split(".")[0] in tops}


def runs_of(revs: list[int]) -> RevisionRuns:
    runs: RevisionRuns = ()
    for rev in revs:
        runs = with_revision(runs, rev)
    return runs


revs = st.integers(min_value=1, max_value=2**53 - 1)
observed = st.lists(st.integers(min_value=1, max_value=40), max_size=12).map(runs_of)
fields = st.sampled_from(FIELDS)
by_field = st.dictionaries(fields, revs)
instants = st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2100, 1, 1)).map(  # noqa: DTZ001 – drawn naive
    lambda at: at.replace(microsecond=at.microsecond // 1000 * 1000, tzinfo=UTC)
)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
shared_values = st.none() | st.booleans() | texts | st.lists(texts, max_size=2)
states = st.builds(
    SyncState,
    version=st.integers(min_value=0, max_value=10**6),
    conversation_observed=observed,
    work_item=st.none() | st.text(min_size=1, max_size=8),
    work_item_number=st.integers(min_value=0, max_value=9),
    work_item_observed=observed,
    view=st.dictionaries(fields, st.builds(ViewedValue, value=shared_values, rev=revs)),
    changed=by_field,
    known=by_field,
    known_at=by_field,
    touched=by_field,
    done_by=st.none() | st.builds(DoneBy, number=st.integers(min_value=0, max_value=9), rev=revs),
    waiting=st.none() | st.builds(Waiting, since=instants, conversation_rev=revs, work_item_rev=revs),
    recorded_wait=st.none() | st.builds(RecordedWait, id=st.text(min_size=1, max_size=8), rev=revs),
    deleted_rev=st.none() | revs,
    conversation_rev=revs,
    work_item_rev=revs,
    conversation_floor=revs,
    work_item_floor=revs,
    finished_at=st.none() | instants,
)


class TestStateDocument:
    @given(state=states)
    @settings(max_examples=25, deadline=None)
    def test_round_trip(self, state: SyncState) -> None:
        document = state_document("c-1", state)
        assert state_of(document) == state
        assert state_of(orjson.loads(orjson.dumps(document))) == state

    def test_no_document_is_the_empty_state(self) -> None:
        assert state_of(None) == SyncState()

    def test_an_older_state_document_gets_the_missing_fields_from_the_others(self) -> None:
        """Each observed revision was stored, and a waiting pair waits for the revisions that were stored."""
        state = SyncState(
            version=2,
            conversation_observed=((1, 6), (8, 8)),
            work_item="w-1",
            work_item_observed=((1, 2),),
            known={"queue": 5},
            known_at={"queue": 2},
            waiting=Waiting(since=datetime(2024, 5, 6, tzinfo=UTC), conversation_rev=7, work_item_rev=1),
        )
        old: Any = orjson.loads(orjson.dumps(state_document("c-1", state)))
        for holder in (old["conversation"], old["workItem"]):
            del holder["rev"], holder["floor"]
        for name in ("finishedAt", "touched", "doneBy", "waitingRevs"):
            del old[name]
        old["workItem"]["reconciled"] = True
        waiting = Waiting(since=datetime(2024, 5, 6, tzinfo=UTC), conversation_rev=8, work_item_rev=2)
        assert state_of(old) == replace(state, conversation_rev=8, work_item_rev=2, waiting=waiting)
        old["conversation"]["rev"], old["workItem"]["rev"] = 9, 3
        waiting = replace(waiting, conversation_rev=9, work_item_rev=3)
        assert state_of(old) == replace(state, conversation_rev=9, work_item_rev=3, waiting=waiting)

    def test_fields_that_the_store_adds_are_ignored(self) -> None:
        document: Mapping[str, Any] = {**state_document("c-1", SyncState(version=3)), "commitId": "x"}
        assert state_of(document) == SyncState(version=3)

    def test_names(self) -> None:
        state = SyncState(
            version=2,
            conversation_observed=((1, 6), (8, 8)),
            conversation_rev=8,
            conversation_floor=9,
            conversation_inserted=True,
            work_item="w-1",
            work_item_number=1,
            work_item_observed=((1, 2),),
            work_item_rev=3,
            view={"queue": ViewedValue(value="q-1", rev=6)},
            changed={"queue": 6},
            known={"queue": 5},
            known_at={"queue": 2},
            touched={"assignee": 2},
            done_by=DoneBy(number=1, rev=4),
            waiting=Waiting(
                since=datetime(2024, 5, 6, tzinfo=UTC), conversation_rev=8, work_item_rev=2, values={"queue": "q-2"}
            ),
            recorded_wait=RecordedWait(id="w-1:0:25", rev=3),
            finished_at=datetime(2024, 5, 7, tzinfo=UTC),
        )
        assert state_document("c-1", state) == {
            "_id": "c-1",
            "version": 2,
            "conversation": {"observed": [[1, 6], [8, 8]], "rev": 8, "floor": 9, "inserted": True},
            "workItem": {"id": "w-1", "number": 1, "observed": [[1, 2]], "rev": 3, "floor": 0},
            "view": {"queue": {"value": "q-1", "rev": 6}},
            "changed": {"queue": 6},
            "known": {"queue": 5},
            "knownAt": {"queue": 2},
            "touched": {"assignee": 2},
            "doneBy": {"number": 1, "rev": 4},
            "waitingSince": "2024-05-06T00:00:00.000Z",
            "waitingRevs": {
                "since": "2024-05-06T00:00:00.000Z",
                "conversation": 8,
                "workItem": 2,
                "values": {"queue": "q-2"},
            },
            "historyOf": "w-1",
            "recordedWait": {"id": "w-1:0:25", "rev": 3},
            "deletedRev": None,
            "finishedAt": "2024-05-07T00:00:00.000Z",
        }
