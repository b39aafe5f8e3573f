"""The schema at /openapi.json: it names every route, and its body of an update is what the commands take."""

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from commands.reason import Refusal, RefusalCode
from commands.update import parse_update
from tests.worker.api.face import Face, a_face
from worker.api.work_items.schemas import WorkItemUpdateBody


@pytest.fixture
async def schema() -> Any:
    return (await a_face().get("/openapi.json")).json


async def test_every_route_is_named_and_needs_a_token_but_for_the_probes(schema: Any) -> None:
    operations = {
        f"{method.upper()} {path}": "security" in operation
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
    }
    items = [f"/v1/{path}/{{id}}" for path in ("routing/work-items", "router/work-items", "routing/work-item")]
    assert operations == {
        "GET /healthz": False,
        "GET /readyz": False,
        **{f"{method} {path}": True for path in items for method in ("GET", "PUT")},
        "GET /v1/routing/conversations/{id}/work-items": True,
        "GET /v1/routing/conversations/{id}/timeline": True,
        "GET /v1/chat/queues/metrics/{ids}": True,
        "POST /v1/charts/query/standard/work_items_latest_wait_time": True,
    }


async def test_every_reference_has_its_target(schema: Any) -> None:
    named = set(_references(schema))
    assert {f"#/components/schemas/{name}" for name in ("ErrorAnswer", "WorkItemUpdateBody", "ChartQuery")} <= named
    assert named <= {f"#/components/schemas/{name}" for name in schema["components"]["schemas"]}


@pytest.mark.parametrize(
    "body",
    [
        {"queue": None}, {"queue": "q1"}, {"queue": {"id": None}}, {"queue": {"id": "q1", "rule": "r1"}},
        {"queue": {"key": "chat", "enteredAt": "2022-03-02T19:13:26.158Z"}}, {"assignedTo": None},
        {"assignedTo": "u1", "status": "wrap-up"}, {"status": "complete", "paused": True, "rev": 3},
        {"routed": {"to": "u1", "workSession": "s1"}}, {"routed": {"rejectedBy": "u1"}},
        {"routed": {"timedOut": "u1"}, "rev": 2}, {"accepted": {"by": "u1", "workSession": None}, "paused": False},
        {"paused": True, "resource": {"rev": 4, "id": "c1"}}, {"paused": True, "resource": {"rev": None}},
    ],
    ids=str,
)  # fmt: skip
def test_a_body_of_the_schema_is_an_update(body: Any) -> None:
    WorkItemUpdateBody.model_validate(body, strict=True)
    assert not isinstance(parse_update(body), Refusal)


@pytest.mark.parametrize(
    "body",
    [
        {"queue": {}}, {"queue": {"id": "q1", "key": "chat"}}, {"queue": {"id": "q1", "colour": 1}}, {"queue": 7},
        {"queue": {"id": None, "rule": "r1"}}, {"queue": ""}, {"assignedTo": 7}, {"assignedTo": ""},
        {"assignedTo": "u" * 257}, {"status": "open"}, {"status": None}, {"paused": None}, {"paused": "true"},
        {"routed": None}, {"routed": {}}, {"routed": {"to": "u1", "rejectedBy": "u1"}},
        {"routed": {"rejectedBy": "u1", "workSession": "s1"}}, {"accepted": {}}, {"accepted": None},
        {"paused": True, "rev": 0}, {"paused": True, "rev": "3"}, {"paused": True, "resource": 7},
        {"paused": True, "resource": {"rev": 0}}, {"resume": True}, {"colour": 1}, [], None,
        {"routed": {"to": "u1"}, "paused": True}, {"accepted": {"by": "u1"}, "assignedTo": "u1"},
    ],
    ids=str,
)  # fmt: skip
def test_a_body_beside_the_schema_is_refused(body: Any) -> None:
    with pytest.raises(ValidationError):
        WorkItemUpdateBody.model_validate(body, strict=True)
    refusal = parse_update(body)
    assert isinstance(refusal, Refusal)
    assert refusal.code in (RefusalCode.INVALID_UPDATE, RefusalCode.UNSUPPORTED_COMBINATION)


def _references(value: Any) -> Iterator[str]:
    match value:
        case {"$ref": str(target)}:
            yield target
        case dict():
            for each in value.values():
                yield from _references(each)
        case list():
            for each in value:
                yield from _references(each)


async def test_the_schema_is_made_once() -> None:
    face: Face = a_face()
    assert (await face.get("/openapi.json")).text == (await face.get("/openapi.json")).text
