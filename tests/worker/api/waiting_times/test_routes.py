"""The routes of waiting times: the captured answers hold to the key, and what a client may ask for."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec import Struct

from handlers.ports import CommitResult, DocumentWrite, Plan, WaitSighting
from handlers.routing.waiting_times import wait_record
from sync.state.sync_state import SyncState
from tests.handlers.small_ports import START, HandClock
from tests.worker.api.face import Face, a_face, token_of
from worker.ports.waiting_times import QueueDescription

METRICS = "/v1/chat/queues/metrics/"
CHART = "/v1/charts/query/standard/work_items_latest_wait_time"
NAME = "work_items_latest_wait_time"
RANGE = {"from": "2022-03-01T00:00:00Z", "to": "2022-03-03T00:00:00Z", "time_zone": "UTC"}
NOT_FOUND = {"errors": [{"status": 404, "source": {"parameter": "path"}, "code": "notfound", "title": "Not Found"}]}


CHAT = QueueDescription(id="Q1", name="Chat", org="O")


class Wait(Struct, frozen=True, kw_only=True):
    """A wait that ended."""

    queue: str
    org: str
    work_item: str
    duration_ms: int
    ended_at: datetime


async def a_face_with(*waits: Wait, queues: Sequence[QueueDescription] = (CHAT,), **more: Any) -> Face:
    """A face on a store with these waits and queues."""
    face = a_face(described=queues, **more)
    sightings = [
        WaitSighting(
            id=f"wait-{number}",
            rev=2,
            work_item=wait.work_item,
            queue=wait.queue,
            org=wait.org,
            entered_at=wait.ended_at - timedelta(milliseconds=wait.duration_ms),
            duration_ms=wait.duration_ms,
        )
        for number, wait in enumerate(waits)
    ]
    records = tuple(DocumentWrite(before=None, after=wait_record("c-1", each)) for each in sightings)
    plan = Plan(conversation_id="c-1", state=SyncState(version=1), waits=records)
    assert await face.world.store.commit([plan]) == [CommitResult.COMMITTED]
    return face


class TestMetrics:
    async def test_the_captured_answer_holds_to_the_key(self) -> None:
        face = await a_face_with(Wait(queue="Q1", org="O", work_item="W", duration_ms=32_999, ended_at=START))
        answer = await face.get(f"{METRICS}Q1")
        assert answer.status == 200
        assert answer.json == {
            "data": [
                {
                    "type": "session_queue",
                    "id": "Q1",
                    "attributes": {"name": "Chat", "latestWaitTimeSeconds": 32},
                    "relationships": {
                        "org": {"data": {"id": "O", "type": "org"}, "links": {"self": "/v1/orgs/O"}},
                        "queue": {"data": {"id": "Q1", "type": "queue"}, "links": {"self": "/v1/queues/Q1"}},
                        "workItem": {
                            "data": {"id": "W", "type": "work-item"},
                            "links": {"self": "/v1/routing/work-items/W"},
                        },
                    },
                }
            ]
        }

    async def test_a_queue_without_a_wait_within_a_day_has_none(self) -> None:
        ended_at = HandClock().now() - timedelta(days=1, milliseconds=1)
        face = await a_face_with(Wait(queue="Q1", org="O", work_item="W", duration_ms=32_000, ended_at=ended_at))
        [queue] = (await face.get(f"{METRICS}Q1")).json["data"]
        assert queue["attributes"] == {"name": "Chat", "latestWaitTimeSeconds": None}
        assert queue["relationships"]["workItem"] == {"data": None}

    async def test_queues_come_as_asked_for_once_each_and_unknown_ones_are_left_out(self) -> None:
        face = await a_face_with(queues=[CHAT, QueueDescription(id="Q2"), QueueDescription(id="Q3", org="other")])
        answer = await face.get(f"{METRICS}Q2,Q9,%20Q1,,Q2")
        assert [queue["id"] for queue in answer.json["data"]] == ["Q2", "Q1"]
        assert answer.json["data"][0]["relationships"]["org"] == {"data": None}

    async def test_a_link_leads_to_an_id_with_any_character(self) -> None:
        face = await a_face_with(queues=[QueueDescription(id="Q?a b")])
        answer = await face.get(f"{METRICS}Q%3Fa%20b")
        assert answer.json["data"][0]["relationships"]["queue"] == {
            "data": {"id": "Q?a b", "type": "queue"}, "links": {"self": "/v1/queues/Q%3Fa%20b"},
        }  # fmt: skip

    async def test_a_client_of_an_org_sees_its_queues_alone(self) -> None:
        queues = [CHAT, QueueDescription(id="Q3", org="other")]
        face = await a_face_with(queues=queues, tokens=[token_of("tenant", org="O")])
        answer = await face.get(f"{METRICS}Q1,Q3", token="tenant")
        assert [queue["id"] for queue in answer.json["data"]] == ["Q1"]

    @pytest.mark.parametrize("ids", ["", ",", "%20,%20", ",,"])
    async def test_no_id_at_all_is_not_found(self, ids: str) -> None:
        face = await a_face_with()
        answer = await face.get(f"{METRICS}{ids}")
        assert (answer.status, answer.json) == (404, NOT_FOUND)
        assert (await face.get(METRICS.rstrip("/"))).json == NOT_FOUND

    async def test_a_hundred_ids_are_answered_and_one_more_is_refused(self) -> None:
        face = await a_face_with()
        ids = [f"Q{number}" for number in range(1, 102)]
        assert (await face.get(METRICS + ",".join(ids[:100]))).status == 200
        refused = await face.get(METRICS + ",".join(ids))
        assert (refused.status, refused.codes) == (400, ["badrequest"])


class TestChart:
    TOKENS = (token_of("reader"), token_of("tenant", org="P"))

    @pytest.fixture
    async def face(self) -> Face:
        ends = datetime(2022, 3, 2, 10, tzinfo=UTC), datetime(2022, 3, 2, 11, tzinfo=UTC)
        return await a_face_with(
            Wait(queue="Q1", org="O", work_item="W1", duration_ms=125_320, ended_at=ends[0]),
            Wait(queue="Q2", org="O", work_item="W2", duration_ms=109_630, ended_at=ends[1]),
            Wait(queue="Q3", org="P", work_item="W3", duration_ms=1, ended_at=datetime(2022, 3, 1, 1, tzinfo=UTC)),
            tokens=self.TOKENS,
        )

    async def _results(self, face: Face, **query: Any) -> Any:
        answer = await face.post(CHART, {"name": NAME, "range": RANGE, **query}, token="reader")
        assert answer.status == 200, answer.text
        return answer.json["data"]["results"]["latestWaitTime"]

    async def test_the_captured_answer_holds_to_the_key(self, face: Face) -> None:
        query = {"name": NAME, "range": RANGE, "query": {"queueId": ["Q1", "Q2"]}}
        answer = await face.post(CHART, query, token="reader")
        assert answer.json == {
            "data": {"results": {"latestWaitTime": {"data": 109_630, "Q1": {"data": 125_320}, "Q2": {"data": 109_630}}}}
        }

    @pytest.mark.parametrize("query", [{}, {"query": {}}, {"query": {"queueId": []}}, {"query": None}])
    async def test_an_empty_query_asks_for_all_queues(self, face: Face, query: Any) -> None:
        assert set(await self._results(face, **query)) == {"data", "Q1", "Q2", "Q3"}

    async def test_a_client_of_an_org_gets_its_own(self, face: Face) -> None:
        answer = await face.post(CHART, {"name": NAME, "range": RANGE}, token="tenant")
        assert answer.json["data"]["results"]["latestWaitTime"] == {"data": 1, "Q3": {"data": 1}}

    async def test_queues_without_a_wait_are_left_out(self, face: Face) -> None:
        assert await self._results(face, query={"queueId": ["Q9", "Q2"]}) == {
            "data": 109_630, "Q2": {"data": 109_630},
        }  # fmt: skip
        assert await self._results(face, query={"queueId": "Q9"}) == {"data": None}

    @pytest.mark.parametrize(
        ("since", "until", "zone", "queues"),
        [
            ("2022-03-02T10:00:00Z", "2022-03-02T10:59:59.999Z", "UTC", {"Q1"}),
            ("2022-03-02T10:00:00.001Z", "2022-03-02T11:00:00Z", "UTC", {"Q2"}),
            ("2022-03-02T11:00:00Z", "2022-03-02T11:00:00Z", "UTC", {"Q2"}),
            ("2022-03-02T11:00:00", "2022-03-02T11:30:00", "Europe/Berlin", {"Q1"}),
            ("2022-03-02T11:00:00+01:00", "2022-03-02T11:30:00+01:00", "America/New_York", {"Q1"}),
            ("2022-03-02T05:00:00", "2022-03-02T05:30:00", "America/New_York", {"Q1"}),
            ("2022-03-02", "2022-03-03", None, {"Q1", "Q2"}),
            ("2022-03-01", "2022-03-02", "utc", {"Q3"}),
        ],
    )
    async def test_the_range_is_of_the_ends_and_of_the_zone(
        self, face: Face, since: str, until: str, zone: str | None, queues: set[str]
    ) -> None:
        span = {"from": since, "to": until} | ({} if zone is None else {"time_zone": zone})
        assert set(await self._results(face, range=span)) == {"data", *queues}

    @pytest.mark.parametrize(
        ("body", "parameters"),
        [
            ({"name": NAME}, {"range"}),
            ({"name": "another", "range": RANGE}, {"name"}),
            ({"name": NAME, "range": RANGE, "query": {"queueId": [7]}}, {"query.queueId.0"}),
            ({"name": NAME, "range": RANGE, "query": {"queueId": 7}, "colour": 1}, {"query.queueId", "colour"}),
            ({"name": NAME, "range": RANGE, "query": {"queueId": ""}}, {"query.queueId.0"}),
            ({"name": NAME, "range": RANGE, "query": {"queueId": ["q"] * 101}}, {"query.queueId"}),
            ({"name": NAME, "range": {**RANGE, "from": "yesterday", "time_zone": "Mars"}}, {"time_zone", "from"}),
            ({"name": NAME, "range": {**RANGE, "to": "2022-02-28T23:59:59Z"}}, {"range"}),
            ({"name": NAME, "range": {**RANGE, "time_zone": "../../etc/passwd"}}, {"time_zone"}),
            ({"name": NAME, "range": {**RANGE, "time_zone": "Europe"}}, {"time_zone"}),
            ({"name": NAME, "range": {**RANGE, "from": "0001-01-01T00:00:00+12:00"}}, {"from"}),
            ({"name": NAME, "range": {**RANGE, "from": 7}}, {"range.from"}),
            ([], {"body"}),
            (b"{", {"body"}),
        ],
    )
    async def test_a_bad_query_names_every_fault(self, face: Face, body: Any, parameters: set[str]) -> None:
        answer = await face.post(CHART, body, token="reader")
        assert answer.status == 400
        assert sorted(error["source"]["parameter"] for error in answer.json["errors"]) == sorted(parameters)
        # No name of ours that the client has not sent.
        assert "ChartQuery" not in answer.text
        assert "constrained" not in answer.text
