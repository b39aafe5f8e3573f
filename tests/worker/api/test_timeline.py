"""The route of a conversation's timeline: what `routing-sync explain` says, as data."""

from typing import Any

import pytest

from tests.handlers.wire_events import ORG
from tests.handlers.world import World
from tests.worker.api.face import Face, a_face, token_of
from tests.worker.investigate.explain.stories import STORED, Played, by_the_router
from worker.api.timeline import ConversationTimelineAnswer
from worker.settings.api_tokens import Role

PATH = "/v1/routing/conversations/c-1/timeline"


async def a_world() -> World:
    world = World()
    world.store.put_conversation(STORED[0])
    world.store.put_work_item(STORED[1])
    await by_the_router(Played(world.store))
    return world


@pytest.fixture
async def face() -> Face:
    return a_face(await a_world())


async def test_the_answer_and_the_timeline(face: Face) -> None:
    answer = await face.get(PATH)
    assert answer.status == 200
    data: Any = answer.json["data"]
    assert data["answer"]["text"].startswith("agent u-1 was un-assigned from the conversation at ")
    assert (data["answer"]["rule"], data["answer"]["client"], data["missing"]) == ("A3", "router", [])
    assert [each["rev"] for each in data["timeline"]["entries"]] == [4, 7, 8, 5]
    ConversationTimelineAnswer.model_validate(answer.json, strict=True)
    assert answer.headers["cache-control"] == "no-store"


async def test_of_an_unknown_conversation_there_is_none(face: Face) -> None:
    assert (await face.get("/v1/routing/conversations/c-9/timeline")).status == 404


async def test_a_client_of_another_org_finds_none() -> None:
    tokens = [token_of("ours", Role.READ, ORG), token_of("theirs", Role.READ, "org-9")]
    face = a_face(await a_world(), tokens=tokens)
    assert (await face.get(PATH, token="ours")).status == 200
    assert (await face.get(PATH, token="theirs")).status == 404
    assert (await face.get(PATH)).status == 401


async def test_a_removed_conversation_is_told_by_what_is_kept_of_it() -> None:
    world = await a_world()
    world.store.remove_conversation("c-1")
    world.store.remove_work_item("w-1")
    tokens = [token_of("ours", Role.READ, ORG), token_of("theirs", Role.READ, "org-9")]
    face = a_face(world, tokens=tokens)
    answer = await face.get(PATH, token="ours")
    assert answer.json["data"]["answer"]["kind"] == "unassigned"
    assert "conversation c-1 is not stored" in answer.json["data"]["missing"]
    assert (await face.get(PATH, token="theirs")).status == 404


async def test_where_nothing_is_kept_it_says_so() -> None:
    world = World()
    world.store.put_conversation(STORED[0])
    data = (await a_face(world).get(PATH)).json["data"]
    assert data["answer"]["kind"] == "unknown"
    assert data["missing"][0].startswith("no decision is kept: AUDIT_DAYS keeps them for 30 days")
