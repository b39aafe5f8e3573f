"""The routes of work-items: documents, updates, refusals."""

from typing import Any

import pytest

from commands.engines.rollout import EngineRollout, UpdateOrigin
from handlers.options import Options
from tests.handlers.wire_events import conversation, work_item
from tests.handlers.world import AwayStore, LosingStore, RejectingStore, World
from tests.worker.api.face import Face, Offered, a_face, token_of
from worker.settings.api_tokens import Role
from worker.telemetry.metrics import Metric

NOT_FOUND = {"errors": [{"status": 404, "source": {"parameter": "path"}, "code": "notfound", "title": "Not Found"}]}
PATHS = ("/v1/routing/work-items/w-1", "/v1/router/work-items/w-1", "/v1/routing/work-item/w-1")


def a_world() -> World:
    return World().put(conversation(3, queue="q-1"), work_item(3, queue="q-1", status="queued", queuedCount=1))


@pytest.fixture
def face() -> Face:
    return a_face(a_world())


class TestReading:
    @pytest.mark.parametrize("path", PATHS)
    async def test_a_work_item_is_shown_as_its_events_show_it(self, face: Face, path: str) -> None:
        answer = await face.get(path)
        data = work_item(3, queue="q-1", status="queued", queuedCount=1)
        assert (answer.status, answer.json) == (200, {"data": {**data, "type": "work-item"}})
        assert answer.headers["content-type"] == "application/json"

    async def test_the_work_items_of_a_conversation_come_latest_first(self, face: Face) -> None:
        face.world.put(work_item(2, key="w-2", number=2, status="completed"))
        answer = await face.get("/v1/routing/conversations/c-1/work-items")
        assert [data["id"] for data in answer.json["data"]] == ["w-2", "w-1"]
        assert (await face.get("/v1/routing/conversations/c-2/work-items")).json == NOT_FOUND

    @pytest.mark.parametrize("path", ["/v1/routing/work-items/w-9", "/v1/routing/work-items/", "/v1", "/nothing"])
    async def test_what_is_not_there_is_not_found(self, face: Face, path: str) -> None:
        answer = await face.get(path)
        assert (answer.status, answer.json) == (404, NOT_FOUND)

    async def test_another_method_is_refused(self, face: Face) -> None:
        answer = await face.ask("DELETE", PATHS[0], {})
        assert (answer.status, answer.codes) == (405, ["methodnotallowed"])
        assert answer.headers["allow"] == "GET, PUT"

    async def test_an_id_that_no_document_has_is_refused(self, face: Face) -> None:
        answer = await face.get(f"/v1/routing/work-items/{'x' * 257}")
        assert (answer.status, answer.json["errors"][0]["source"]) == (422, {"parameter": "path"})


class TestUpdating:
    @pytest.mark.parametrize("path", PATHS)
    async def test_the_answer_is_the_work_item_after_it(self, face: Face, path: str) -> None:
        answer = await face.put(path, {"assignedTo": "u-1", "rev": 3})
        assert answer.status == 200
        assert answer.json["data"]["attributes"]["rev"] == face.world.w().rev == 4
        assert answer.json["data"]["relationships"]["assignedTo"]["data"]["id"] == "u-1"

    async def test_its_event_is_offered_and_it_is_in_the_audit(self, face: Face) -> None:
        await face.put(PATHS[0], {"assignedTo": "u-1"})
        [message] = face.world.announced()
        offered = face.parts.updates._announcer
        assert isinstance(offered, Offered)
        assert [entry.id for entry in offered.announcements] == [message["id"]]
        [line] = face.recorder.lines
        assert (line["msg"], line["trigger"], line["outcome"]) == ("CONVERSATION_SYNC_AUDIT", "api", "applied")
        assert face.recorder.total(Metric.COMMAND_USED) == 1

    async def test_an_update_that_changes_nothing_is_answered_alike(self, face: Face) -> None:
        answer = await face.put(PATHS[0], {"paused": False})
        assert (answer.status, answer.json["data"]["attributes"]["rev"]) == (200, 3)

    async def test_a_work_item_that_is_not_there(self, face: Face) -> None:
        answer = await face.put("/v1/routing/work-items/w-9", {"paused": True})
        assert (answer.status, answer.json) == (404, NOT_FOUND)

    @pytest.mark.parametrize(
        ("body", "status", "code", "parameter"),
        [
            ({"paused": True, "rev": 2}, 409, "REVISION_CONFLICT", "rev"),
            ({"routed": {"rejectedBy": "u-1"}}, 409, "NOT_ROUTED", "body"),
            ({"queue": {"key": "unheard-of"}}, 422, "UNKNOWN_QUEUE", "body"),
            ({"routed": {"to": "u-1"}, "paused": True}, 422, "UNSUPPORTED_COMBINATION", "body"),
            ({"queue": {"id": "q-2", "enteredAt": "2999-01-01T00:00:00Z"}}, 422, "INVALID_UPDATE", "body"),
        ],
    )
    async def test_a_refusal_has_its_code(self, face: Face, body: Any, status: int, code: str, parameter: str) -> None:
        answer = await face.put(PATHS[0], body)
        [error] = answer.json["errors"]
        assert (answer.status, error["status"], error["code"]) == (status, status, code)
        assert (error["source"], bool(error["detail"])) == ({"parameter": parameter}, True)
        assert face.world.w().rev == 3

    async def test_every_fault_of_an_update_is_an_error(self, face: Face) -> None:
        answer = await face.put(PATHS[0], {"colour": 1, "status": "open", "paused": "no", "rev": 0})
        assert (answer.status, answer.codes) == (422, ["INVALID_UPDATE"] * 4)
        assert ["colour" in answer.details[0], "'status'" in answer.details[1]] == [True, True]

    @pytest.mark.parametrize("body", [b"{", b"", b"\xff", b'{"assignedTo": "\\ud800"}', b"nul", b"[" * 3_000])
    async def test_a_body_that_is_no_json(self, face: Face, body: bytes) -> None:
        answer = await face.put(PATHS[0], body)
        assert (answer.status, answer.codes) == (400, ["badrequest"])

    @pytest.mark.parametrize("body", [[], "x", 7, None, True])
    async def test_a_body_that_is_no_object(self, face: Face, body: Any) -> None:
        answer = await face.put(PATHS[0], b"null" if body is None else body)
        assert (answer.status, answer.codes) == (422, ["INVALID_UPDATE"])

    async def test_a_completed_work_item_and_a_locked_session(self) -> None:
        world = a_world().put(
            work_item(1, key="w-2", of="c-2", status="completed"),
            work_item(1, key="w-3", of="c-3", status="queued", queue="q-1"),
        )
        face = a_face(world)
        done = await face.put("/v1/routing/work-items/w-2", {"paused": True})
        assert (done.status, done.codes) == (409, ["WORK_ITEM_COMPLETED"])
        assert (await face.put(PATHS[0], {"routed": {"to": "u-1"}})).status == 200
        locked = await face.put("/v1/routing/work-items/w-3", {"routed": {"to": "u-1"}})
        assert (locked.status, locked.codes) == (409, ["SESSION_LOCKED"])
        other = await face.put(PATHS[0], {"routed": {"rejectedBy": "u-2"}})
        assert (other.status, other.codes) == (409, ["NOT_ROUTED_TO_USER"])
        again = await face.put("/v1/routing/work-items/w-1", {"accepted": {"by": "u-1"}})
        assert again.status == 200
        late = await face.put(PATHS[0], {"routed": {"to": "u-1"}})
        assert (late.status, late.codes) == (409, ["NOT_QUEUED"])


class TestRoles:
    @pytest.fixture
    def face(self) -> Face:
        tokens = [
            token_of("reader"), token_of("crm", Role.WRITE), token_of("router", Role.ROUTER),
            token_of("tenant", Role.WRITE, org="org-2"),
        ]  # fmt: skip
        options = Options(rollout=EngineRollout(fields_max={UpdateOrigin.API: 1}))
        return a_face(a_world(), tokens=tokens, options=options)

    @pytest.mark.parametrize(
        ("token", "body", "status"),
        [
            ("reader", {"paused": True}, 403),
            ("reader", b"{", 403),
            ("crm", {"paused": True}, 200),
            ("crm", {"routed": {"to": "u-1"}}, 403),
            ("crm", {"accepted": {"by": "u-1"}}, 403),
            ("router", {"routed": {"to": "u-1"}}, 200),
            ("router", {"paused": True}, 200),
            ("tenant", {"paused": True}, 404),
        ],
    )
    async def test_a_role_allows_what_it_says(self, face: Face, token: str, body: Any, status: int) -> None:
        assert (await face.put(PATHS[0], body, token=token)).status == status

    async def test_the_origin_of_an_update_is_the_roles(self, face: Face) -> None:
        both = {"paused": True, "assignedTo": "u-1"}
        refused = await face.put(PATHS[0], both, token="crm")
        assert (refused.status, refused.codes) == (422, ["TOO_MANY_FIELDS"])
        assert (await face.put(PATHS[0], both, token="router")).status == 200
        refusal, applied = face.recorder.lines
        assert (refusal["command"]["origin"], refusal["client"]) == ("api", "crm")
        assert (applied["command"]["origin"], applied["client"]) == ("router", "router")

    async def test_a_client_of_an_org_sees_nothing_of_another(self, face: Face) -> None:
        for path in (*PATHS, "/v1/routing/conversations/c-1/work-items"):
            assert (await face.get(path, token="tenant")).status == 404
            assert (await face.get(path, token="reader")).status == 200

    async def test_no_line_and_no_answer_holds_a_token(self, face: Face) -> None:
        answer = await face.put(PATHS[0], {"paused": True}, token="unknown-one")
        assert answer.status == 401
        assert "secret" not in answer.text + str(face.recorder.lines)


class TestTheStore:
    async def test_it_is_away(self) -> None:
        world = a_world()
        world.outer = AwayStore(world.store, "commit")
        face = a_face(world)
        answer = await face.put(PATHS[0], {"paused": True})
        assert (answer.status, answer.codes, answer.headers["retry-after"]) == (503, ["STORE_AWAY"], "1")
        [line] = face.recorder.lines
        assert (line["msg"], line["workItemId"]) == ("store away, an update may have been written", "w-1")
        assert (await face.get(PATHS[0])).status == 200

    async def test_others_are_always_faster(self) -> None:
        world = a_world()
        world.outer = LosingStore(world.store, "c-1", times=99)
        face = a_face(world)
        answer = await face.put(PATHS[0], {"paused": True})
        assert (answer.status, answer.codes) == (503, ["CONFLICT"])
        assert face.recorder.lines[-1]["outcome"] == "failed"

    async def test_it_cannot_hold_the_result(self) -> None:
        world = a_world()
        world.outer = RejectingStore(world.store, "c-1")
        face = a_face(world)
        answer = await face.put(PATHS[0], {"paused": True})
        assert (answer.status, answer.codes) == (500, ["PLAN_REJECTED"])

    async def test_it_holds_a_document_that_cannot_be_read(self) -> None:
        world = a_world()
        stored = world.store.work_item("w-1")
        assert stored is not None
        world.store.put_work_item({**stored, "rev": "3"})
        face = a_face(world)
        answer = await face.put(PATHS[0], {"paused": True})
        assert (answer.status, answer.codes) == (500, ["STORED_DOCUMENT_UNREADABLE"])
        assert answer.details == ['w-1 in the store cannot be read: rev is the text "3", not `int`']
        assert (await face.get(PATHS[0])).json["data"]["attributes"]["rev"] == 3
