"""No output of the worker holds a customer's content, whatever the input and whatever fails.

Each test puts marks wherever an event can hold a customer's content: in fields that the schema does not name, in values
of a wrong type, in names, in bodies that cannot be read. It then searches everything that was written for the marks.
Ids may be written.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from handlers.ports import CommitResult, LoadRequest, Pair, Plan, PlanRejected
from tests.handlers.events.malformed.kind import CONTENT, altered, good
from tests.handlers.events.malformed.messages import MALFORMED
from tests.handlers.events.test_parser_properties import ways
from tests.handlers.wire_events import Json, conversation, event, notification, published, queued, text, work_item
from tests.worker.pipeline_bench import InterruptibleStore, RunningPipeline, running_pipeline
from tests.worker.stand_ins.fake_clock import until
from worker.cli.main import run

MARK: Final = "Zz9kQ"
"""Short, so that a part of a shortened text still holds it."""
WORDS: Final = f"{MARK} says hello, her number is {MARK}"


def with_marks(thing: Json) -> Json:
    """The event with marks in values and names that the schema does not name."""
    said: Json = {
        "subject": WORDS,
        "preview": f"{WORDS} {'x' * 5_000} {MARK}",
        "name": WORDS,
        "customAttributes": {f"{MARK}Str": WORDS, "birthday": WORDS, f"a.{MARK}": [WORDS], f"${MARK}": {"$ne": WORDS}},
        f"{MARK}Tree": {MARK: [{MARK: WORDS}]},
    }
    data = thing["data"]
    data["attributes"].update({**said, "name": WORDS})
    data["relationships"]["customer"] = {"data": {"type": "customer", "id": WORDS}, "meta": said}
    data["links"] = {"self": f"/v1/{MARK}"}
    thing.update({f"{MARK}Key": WORDS, "meta": said, "partition": WORDS})
    changes = thing.setdefault("changes", {})
    named = changes.setdefault("attributes", {})
    named.update(
        {
            "preview": {"op": "replace", "before": WORDS, "after": WORDS},
            f"{MARK}Str": {"op": "add", "before": None, "after": WORDS},
        }
    )
    reason = {"action": "OTHER", "code": "OTHER", "meta": {"said": WORDS, MARK: WORDS}}
    thing.setdefault("routingReasons", []).append(reason)
    return thing


def in_order() -> list[Json]:
    """Events that lead to a forward and a reverse sync, a wait and a refusal of old news, and an unsupported event."""
    return [
        with_marks(event(conversation(1, queue="q-1"))),
        with_marks(event(work_item(1, queue="q-1", status="queued", resourceRev=1))),
        with_marks(event(conversation(2, queue="q-1", users=("u-1",)), changes=_assigned())),
        with_marks(event(conversation(2, queue="q-1", users=("u-1",)), changes=_assigned())),
        with_marks(event(work_item(7, queue="q-2", status="assigned", user="u-2"), at=9)),
        with_marks(event(conversation(9, queue="q-1", status="done"), changes=_assigned(), at=10)),
        {**with_marks(event(conversation(10, key="c-2"))), "name": "kustomer.tag.update"},
    ]


def _assigned() -> Json:
    return {"attributes": {"assignedUsers": {"op": "replace", "before": [], "after": ["u-1"]}}}


def broken() -> Iterator[str]:
    """Events with a mark in the place of each value and each name, and bodies that are not events."""
    for side in ("conversation", "work-item"):
        whole = good(side)
        for rollout in ways(whole):
            path = ".".join(map(str, rollout))
            yield text(altered(good(side), path, {"$ne": WORDS, MARK: MARK}))
            yield text(altered(good(side), path, WORDS * 100))
            yield text(altered(altered(good(side), "body.data.attributes.rev", MARK), path, [WORDS]))
    yield text(altered(good(), "body.changes.attributes", {MARK: WORDS, f"{MARK}Str": {"op": WORDS}}))
    yield text({MARK: WORDS, f"{MARK}.{MARK}": 1})
    yield text(good()).replace('"rev":', f'"{MARK}":"{MARK}","rev":{MARK}')
    yield text(notification(f"{WORDS} {{"))
    yield text(queued(notification(WORDS)))
    yield WORDS * 20_000
    yield f'{{"{MARK}": "{MARK}\ud800"}}'


def assert_no_marks(written: str) -> None:
    """Fail if `written` holds a mark."""
    for mark in (MARK, CONTENT, CONTENT.split("-", maxsplit=1)[0]):
        at = written.find(mark)
        assert at < 0, written[max(at - 300, 0) : at + 100]


def all_output(pipeline: RunningPipeline, capfd: pytest.CaptureFixture[str]) -> str:
    """The log, standard output and standard error."""
    return "".join([*(json.dumps(line, ensure_ascii=False) for line in pipeline.recorder.lines), *capfd.readouterr()])


async def test_events_and_dead_letters(capfd: pytest.CaptureFixture[str]) -> None:
    bodies = [*map(text, map(published, in_order())), *broken(), *(kind.body for kind in MALFORMED)]
    async with running_pipeline(*bodies) as pipeline:
        await until(lambda: not pipeline.queue.left)
        await pipeline.stop()
    written = all_output(pipeline, capfd)
    assert pipeline.recorder.messages.count("message dead-lettered") > 300
    assert {"applied", "skipped"} <= {line["outcome"] for line in pipeline.recorder.lines if "outcome" in line}
    assert_no_marks(written)
    for letter in pipeline.queue.dead:
        # The letter keeps the body, customers' content included. Its attributes are read by operators.
        assert_no_marks(letter.attributes["error_reason"]["StringValue"] if letter.attributes else "")
    assert len(pipeline.queue.dead) == pipeline.recorder.messages.count("message dead-lettered")


class Buggy(InterruptibleStore):
    """A store that raises exceptions which quote their input."""

    def __init__(self, fault: Callable[[], Exception]) -> None:
        super().__init__()
        self._fault = fault

    async def load(self, wants: Sequence[LoadRequest]) -> dict[str, Pair]:
        raise self._fault()


class Rejecting(InterruptibleStore):
    """A store that rejects every plan, as if it could not encode the documents."""

    async def commit(self, plans: Sequence[Plan]) -> Sequence[CommitResult | PlanRejected]:
        return [
            PlanRejected(conversation_id=plan.conversation_id, reason="the document is nested too deep")
            for plan in plans
        ]


@pytest.mark.parametrize(
    "fault", [lambda: KeyError(WORDS), lambda: RuntimeError(WORDS), lambda: UnicodeError(WORDS)], ids=lambda _: ""
)
async def test_unexpected_errors(fault: Callable[[], Exception], capfd: pytest.CaptureFixture[str]) -> None:
    async with running_pipeline(*map(text, map(published, in_order())), store=Buggy(fault)) as pipeline:
        await until(lambda: "a batch met a fault in our code" in pipeline.recorder.messages)
        await until(lambda: "message goes back" in pipeline.recorder.messages)
        await pipeline.stop()
    assert_no_marks(all_output(pipeline, capfd))


async def test_plans_that_the_store_refuses(capfd: pytest.CaptureFixture[str]) -> None:
    async with running_pipeline(*map(text, map(published, in_order())), store=Rejecting()) as pipeline:
        await until(lambda: "message goes back" in pipeline.recorder.messages)
        await pipeline.stop()
    assert "PLAN_REJECTED" in _codes(pipeline)
    assert_no_marks(all_output(pipeline, capfd))


async def test_stored_documents_that_cannot_be_read(capfd: pytest.CaptureFixture[str]) -> None:
    store = InterruptibleStore()
    for attributes in ({"status": WORDS}, {"status": "open", "updatedAt": {MARK: WORDS}}):
        unreadable = {"org": "org-1", "rev": 20, "type": "conversation", "attributes": attributes}
        store.put_conversation({"_id": f"c-{len(attributes)}", **unreadable})
    late = with_marks(event(conversation(21, key="c-2"), changes=_assigned()))
    item = with_marks(event(work_item(1, of="c-2", key="w-2", status="queued")))
    async with running_pipeline(*map(text, map(published, [*in_order(), item, late])), store=store) as pipeline:
        await until(lambda: "STORED_DOCUMENT_UNREADABLE" in _codes(pipeline))
        await pipeline.stop()
    assert_no_marks(all_output(pipeline, capfd))


def _codes(pipeline: RunningPipeline) -> set[str]:
    return {reason["code"] for line in pipeline.recorder.lines for reason in line.get("reasons", ())}


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    """A capture file with all events and all broken bodies."""
    file = tmp_path / "events.ndjson"
    lines = [*map(text, in_order()), *(body.replace("\n", " ") for body in broken())]
    file.write_bytes("\n".join([*lines, WORDS, f'{{"{MARK}": "{MARK}"']).encode("utf-8", "surrogatepass"))
    return file


@pytest.mark.thorough
@pytest.mark.parametrize("mode", ["observe", "simulate", "explore"])
def test_replays(mode: str, capture: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["replay", mode, str(capture)]) == 1
    out, errors = capfd.readouterr()
    counted = re.search(r"(\d+) parts could not be read, the 10 above", errors)
    assert counted is not None
    assert int(counted[1]) > 300
    assert errors.count("events.ndjson:") == 10
    assert_no_marks(out + errors)


def test_errors_of_decide(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """An error of `decide` quotes no value. It may quote a misspelt name of the question."""
    item = {"id": "w", "rev": 2, "status": "queued", "preview": WORDS, "assignedTo": {"$ne": WORDS}}
    pair = {"conversation": {"id": [WORDS], "status": WORDS, MARK: WORDS}, "workItem": item}
    questions = [
        {"kind": "sync", "policy": "causal", "trigger": "conversation", **pair},
        {
            "kind": "sync",
            "policy": WORDS,
            "trigger": WORDS,
            "conversation": WORDS,
            "state": {"changed": {"queue": WORDS}},
        },
        {"kind": "command", "workItem": item, "update": {"paused": True}},
        {"kind": WORDS},
        [WORDS],
    ]
    file = tmp_path / "questions"
    file.write_text("\n".join([*(json.dumps(question) for question in questions), WORDS, f'{{"{MARK}']))
    assert run(["decide", str(file)]) == 1
    out, errors = capfd.readouterr()
    answers: list[Any] = [json.loads(line) for line in out.splitlines()]
    assert [list(one) for one in answers] == [["error"]] * 7
    assert_no_marks(out + errors)


def test_a_mark_in_the_output_is_found() -> None:
    with pytest.raises(AssertionError):
        assert_no_marks(f"…{MARK}…")
