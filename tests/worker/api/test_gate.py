"""What every request passes: token, host, rate, room, media type, size, time."""

import asyncio
import base64
import gc
import logging

import pytest
from fastapi import APIRouter
from starlette.responses import Response

from handlers.ports import StoreAway
from tests.handlers.wire_events import conversation, work_item
from tests.handlers.world import World
from tests.worker.api.face import LIMITS, Face, Offered, a_face, token_of
from tests.worker.api.slow_store import SlowStore
from worker.api.gate import RequestLimits
from worker.settings.api_tokens import Role
from worker.telemetry.metrics import Metric

PATH = "/v1/routing/work-items/w-1"
TOKENS = [token_of("reader"), token_of("crm", Role.WRITE)]


def a_world() -> World:
    return World().put(conversation(3, queue="q-1"), work_item(3, queue="q-1", status="queued", queuedCount=1))


def a_page(path: str = "/") -> APIRouter:
    pages = APIRouter()

    async def page() -> Response:
        return Response("<p>", media_type="text/html")

    pages.add_api_route(path, page)
    return pages


class TestTokens:
    @pytest.fixture
    def face(self) -> Face:
        return a_face(a_world(), tokens=TOKENS, pages=[a_page()])

    @pytest.mark.parametrize(
        "authorization",
        ["", "Bearer", "Bearer ", "Bearer secret-other", "secret-reader", "Basic secret-reader", "Bearer \xff\xfe",
         f"Basic {base64.b64encode(b'any:secret-reader').decode()}"],
    )  # fmt: skip
    async def test_a_request_without_a_known_one_is_refused(self, face: Face, authorization: str) -> None:
        for path in (PATH, "/v1/nothing"):
            answer = await face.get(path, authorization=authorization)
            assert (answer.status, answer.codes) == (401, ["unauthorized"])
            assert answer.headers["www-authenticate"].startswith("Bearer ")
        assert (await face.put(PATH, {"paused": True}, authorization=authorization)).status == 401

    @pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
    async def test_a_known_one_is_taken(self, face: Face, scheme: str) -> None:
        assert (await face.get(PATH, authorization=f"{scheme} secret-reader")).status == 200

    async def test_a_browser_reads_pages_with_it_as_password(self, face: Face) -> None:
        asked = await face.get("/")
        assert (asked.status, asked.headers["www-authenticate"][:6]) == (401, "Basic ")
        basic = f"Basic {base64.b64encode(b'any:secret-reader').decode()}"
        assert (await face.get("/", authorization=basic)).text == "<p>"
        for bad in ("Basic !", "Basic YQ==", f"Basic {base64.b64encode(b'secret-reader').decode()}"):
            assert (await face.get("/", authorization=bad)).status == 401

    @pytest.mark.parametrize("path", ["/healthz", "/readyz", "/openapi.json"])
    async def test_probes_and_the_schema_need_none(self, face: Face, path: str) -> None:
        assert (await face.get(path)).status == 200


class TestLoopback:
    @pytest.mark.parametrize(
        "host", ["localhost", "LOCALHOST:8090", "127.0.0.1:8090", "[::1]:8090", "[::1]", "127.0.0.2:8090"]
    )
    async def test_it_is_served_without_tokens_under_its_own_names(self, host: str) -> None:
        assert (await a_face(a_world()).get(PATH, host=host)).status == 200

    @pytest.mark.parametrize(
        "host", ["evil.example", "127.0.0.1.evil.example:80", "", "[::2]", "10.0.0.1", "[", "[127.0.0.1", "[]"]
    )
    async def test_another_name_is_refused(self, host: str) -> None:
        """A page of another site reaches loopback by a name that its own name server resolves to it."""
        answer = await a_face(a_world()).get(PATH, host=host)
        assert (answer.status, answer.codes) == (403, ["forbidden"])

    @pytest.mark.parametrize("header", ["x_forwarded_for", "forwarded", "via", "x_real_ip", "x_forwarded_host"])
    async def test_a_proxy_on_this_machine_is_no_client_on_it(self, header: str) -> None:
        """It reaches loopback for everybody, and many name it in the host as their upstream."""
        answer = await a_face(a_world()).get(PATH, **{header: "for=203.0.113.7"})
        assert (answer.status, answer.codes) == (403, ["forbidden"])
        assert (await a_face(a_world(), tokens=TOKENS).get(PATH, token="reader", **{header: "1.2.3.4"})).status == 200


class TestBodies:
    @pytest.fixture
    def face(self) -> Face:
        return a_face(a_world())

    @pytest.mark.parametrize(
        "media_type", ["text/plain", "application/x-www-form-urlencoded", "", "application/json; charset=latin-1"]
    )
    async def test_another_media_type_than_json_is_refused(self, face: Face, media_type: str) -> None:
        """So no form of another site's page can send an update."""
        answer = await face.put(PATH, {"paused": True}, content_type=media_type)
        assert (answer.status, answer.codes) == (415, ["unsupportedmediatype"])
        assert face.world.w().rev == 3

    @pytest.mark.parametrize("encoding", ["gzip", "br", "gzip, identity", "x"])
    async def test_a_packed_body_is_refused(self, face: Face, encoding: str) -> None:
        answer = await face.put(PATH, {"paused": True}, content_encoding=encoding)
        assert (answer.status, answer.codes) == (415, ["unsupportedmediatype"])
        assert (await face.put(PATH, {"paused": True}, content_encoding="Identity")).status == 200

    @pytest.mark.parametrize(
        "media_type",
        ["application/json", "Application/JSON; charset=UTF-8", 'application/vnd.api+json;charset="utf-8"'],
    )
    async def test_json_is_taken(self, face: Face, media_type: str) -> None:
        assert (await face.put(PATH, {"paused": True}, content_type=media_type)).status == 200

    async def test_a_body_above_the_limit_is_refused_by_its_declared_length(self, face: Face) -> None:
        answer = await face.put(PATH, b"{}", content_length=str(LIMITS.body_bytes_max + 1))
        assert (answer.status, answer.codes) == (413, ["payloadtoolarge"])

    async def test_a_body_above_the_limit_is_refused_as_it_comes(self, face: Face) -> None:
        chunks = iter([b" " * 1_000] * 100)
        answer = await face.ask("PUT", PATH, chunks=chunks)
        assert (answer.status, len(list(chunks))) == (413, 95)

    async def test_a_body_at_the_limit_is_read(self, face: Face) -> None:
        body = b'{"paused": true}'.ljust(LIMITS.body_bytes_max)
        assert (await face.put(PATH, body)).status == 200

    async def test_a_body_that_breaks_off_changes_nothing(self, face: Face) -> None:
        answer = await face.ask("PUT", PATH, chunks=[b'{"paused": true'])
        assert (answer.status, face.world.w().rev) == (400, 3)


class TestRate:
    async def test_a_client_has_a_burst_and_then_its_rate(self) -> None:
        face = a_face(a_world(), tokens=TOKENS, per_second=3)
        statuses = [(await face.get(PATH, token="reader")).status for _ in range(8)]
        assert statuses == [200] * 6 + [429] * 2
        assert (await face.get(PATH, token="crm")).status == 200
        await face.world.clock.sleep(1)
        answers = [await face.get(PATH, token="reader") for _ in range(4)]
        assert [answer.status for answer in answers] == [200, 200, 200, 429]
        assert (answers[-1].codes, answers[-1].headers["retry-after"]) == (["toomanyrequests"], "1")

    async def test_guesses_share_one_and_take_nothing_from_the_others(self) -> None:
        face = a_face(a_world(), tokens=TOKENS, per_second=1)
        statuses = [(await face.get(PATH, token=f"guess-{number}")).status for number in range(4)]
        assert statuses == [401, 401, 429, 429]
        assert (await face.get(PATH, token="reader")).status == 200
        assert [(await face.get("/healthz")).status for _ in range(9)] == [200] * 9


class TestRoomAndTime:
    async def test_more_requests_than_there_is_room_for_are_told_to_come_back(self) -> None:
        world = a_world()
        slow = SlowStore(world.store)
        world.outer = slow
        limits = RequestLimits(body_bytes_max=4_096, concurrency_max=1, timeout_s=20)
        face = a_face(world, limits=limits, pages=[a_page("/live/page")])
        first = asyncio.create_task(face.put(PATH, {"paused": True}))
        await slow.waiting.wait()
        answer = await face.get(PATH)
        assert (answer.status, answer.codes, answer.headers["retry-after"]) == (503, ["serviceunavailable"], "1")
        # A stream of events takes no room: it would hold it for as long as a page is open.
        assert (await face.get("/live/page")).status == 200
        # Nothing else is one, whatever its client accepts.
        assert (await face.get(PATH, accept="text/event-stream")).status == 503
        slow.go.set()
        assert (await first).status == 200
        assert (await face.get(PATH)).status == 200

    async def test_one_token_takes_half_of_the_room_and_leaves_the_rest_to_the_others(self) -> None:
        world = a_world()
        slow = SlowStore(world.store)
        world.outer = slow
        limits = RequestLimits(body_bytes_max=4_096, concurrency_max=5, timeout_s=20)
        face = a_face(world, limits=limits, tokens=TOKENS)
        held = [asyncio.create_task(face.put(PATH, {"paused": True}, token="crm")) for _ in range(2)]
        await slow.waiting.wait()
        for _ in range(3):
            beyond = await face.get(PATH, token="crm")
            assert (beyond.status, beyond.codes, beyond.headers["retry-after"]) == (429, ["toomanyrequests"], "1")
            assert beyond.details == [
                "2 requests of the token crm under way, its share of API_CONCURRENCY_MAX: try again later"
            ]
        assert (await face.get(PATH, token="reader")).status == 200
        slow.go.set()
        assert {(await each).status for each in held} <= {200, 409}
        assert (await face.get(PATH, token="crm")).status == 200

    async def test_a_token_that_is_alone_has_the_whole_room(self) -> None:
        world = a_world()
        slow = SlowStore(world.store)
        world.outer = slow
        limits = RequestLimits(body_bytes_max=4_096, concurrency_max=2, timeout_s=20)
        face = a_face(world, limits=limits, tokens=[token_of("crm", Role.WRITE)])
        held = asyncio.create_task(face.put(PATH, {"paused": True}, token="crm"))
        await slow.waiting.wait()
        assert (await face.get(PATH, token="crm")).status == 200
        slow.go.set()
        assert (await held).status == 200

    async def test_an_update_that_takes_too_long_is_finished_without_its_client(self) -> None:
        world = a_world()
        slow = SlowStore(world.store)
        world.outer = slow
        face = a_face(world, limits=RequestLimits(body_bytes_max=4_096, concurrency_max=1, timeout_s=0.01))
        answer = await face.put(PATH, {"paused": True})
        assert (answer.status, answer.codes) == (503, ["TIMEOUT"])
        assert world.w().rev == 3
        slow.go.set()
        await face.parts.updates.finish()
        assert world.w().paused
        offered = face.parts.updates._announcer
        assert isinstance(offered, Offered)
        assert len(offered.announcements) == 1
        assert face.recorder.lines[-1]["outcome"] == "applied"
        await face.parts.updates.finish()

    async def test_updates_whose_clients_are_gone_leave_no_room_for_more(self) -> None:
        world = a_world()
        slow = SlowStore(world.store)
        world.outer = slow
        face = a_face(world, limits=RequestLimits(body_bytes_max=4_096, concurrency_max=1, timeout_s=0.01))
        assert (await face.put(PATH, {"paused": True})).codes == ["TIMEOUT"]
        answer = await face.put(PATH, {"paused": True})
        assert (answer.status, answer.codes, answer.headers["retry-after"]) == (503, ["serviceunavailable"], "1")
        assert answer.details == ["1 updates are under way: try again later"]
        assert (await face.get(PATH)).status == 200
        slow.go.set()
        await face.parts.updates.finish()
        assert world.w().rev == 4
        assert (await face.put(PATH, {"paused": False})).status == 200

    async def test_updates_of_one_token_whose_client_is_gone_leave_room_for_the_others(self) -> None:
        world = a_world()
        slow = SlowStore(world.store)
        world.outer = slow
        tokens = [token_of("crm", Role.WRITE), token_of("bot", Role.WRITE)]
        face = a_face(
            world, limits=RequestLimits(body_bytes_max=4_096, concurrency_max=2, timeout_s=0.01), tokens=tokens
        )
        assert (await face.put(PATH, {"paused": True}, token="crm")).codes == ["TIMEOUT"]
        answer = await face.put(PATH, {"paused": True}, token="crm")
        assert (answer.status, answer.codes, answer.headers["retry-after"]) == (429, ["toomanyrequests"], "1")
        assert answer.details == [
            "1 updates of the token crm under way, its share of API_CONCURRENCY_MAX: try again later"
        ]
        # The other one's is begun, and waits for the same store.
        assert (await face.put(PATH, {"paused": True}, token="bot")).codes == ["TIMEOUT"]
        slow.go.set()
        await face.parts.updates.finish()

    @pytest.mark.parametrize(
        ("fault", "told"),
        [
            (StoreAway("no primary"), "store away, an update may have been written"),
            (ZeroDivisionError("a customer's words"), "an update ended by a fault in our code"),
        ],
    )
    async def test_an_update_that_fails_without_its_client_is_told(
        self, fault: Exception, told: str, log_records: list[logging.LogRecord]
    ) -> None:
        world = a_world()
        slow = SlowStore(world.store)
        world.outer, slow.fault = slow, fault
        face = a_face(world, limits=RequestLimits(body_bytes_max=4_096, concurrency_max=1, timeout_s=0.01))
        assert (await face.put(PATH, {"paused": True})).codes == ["TIMEOUT"]
        slow.go.set()
        await face.parts.updates.finish()
        await asyncio.sleep(0)
        [line] = face.recorder.lines
        assert (line["msg"], line["workItemId"]) == (told, "w-1")
        assert "customer" not in str(line)
        gc.collect()
        assert log_records == []

    @pytest.mark.parametrize(("method", "path"), [("PUT", PATH), ("POST", "/"), ("PUT", "/live/page"), ("POST", "/x")])
    async def test_a_sender_that_is_too_slow_is_not_waited_for(self, method: str, path: str) -> None:
        limits = RequestLimits(body_bytes_max=4_096, concurrency_max=1, timeout_s=0.01)
        face = a_face(a_world(), limits=limits, pages=[a_page(), a_page("/live/page")])
        async with asyncio.timeout(5):
            answer = await face.ask(method, path, chunks=[b"{"], breaks_off=False)
        assert (answer.status, answer.codes) == (503, ["TIMEOUT"])
        assert ("an update may have been written" in answer.details[0]) == (method == "PUT")


async def test_requests_are_counted_by_route_and_never_by_id() -> None:
    face = a_face(a_world(), tokens=TOKENS)
    await face.get(PATH, token="reader")
    await face.put(PATH, {"paused": True}, token="reader")
    await face.get("/v1/nothing", token="reader")
    await face.get(PATH)
    await face.ask("BREW", PATH, token="reader")
    route = "route=/v1/routing/work-items/{id}"
    assert {name: count for name, count in face.recorder.counts.items() if Metric.API_REQUESTS in name} == {
        f"{Metric.API_REQUESTS.value} method=GET {route} status=200": 1,
        f"{Metric.API_REQUESTS.value} method=PUT {route} status=403": 1,
        f"{Metric.API_REQUESTS.value} method=GET route=none status=404": 1,
        f"{Metric.API_REQUESTS.value} method=GET route=none status=401": 1,
        f"{Metric.API_REQUESTS.value} method=other {route} status=405": 1,
    }
    assert face.recorder.total(Metric.API_DURATION) == 5


async def test_a_fault_in_our_code_is_answered_and_handed_to_the_server() -> None:
    pages = APIRouter()

    async def broken() -> Response:
        raise ZeroDivisionError("a customer's words")

    pages.add_api_route("/broken", broken)
    face = a_face(pages=[pages])
    with pytest.raises(ZeroDivisionError):
        await face.get("/broken")
    assert (face.last.status, face.last.codes) == (500, ["internalservererror"])
    assert "customer" not in face.last.text
