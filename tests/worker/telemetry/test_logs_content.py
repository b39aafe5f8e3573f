"""No line that the worker writes holds a customer's words, whatever comes in and whatever goes wrong.

Marks stand wherever customers' content can: in fields that nobody models, in those of a wrong type, in names, in what
cannot be read at all. Then everything that was written is searched for them. Ids may be told.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from handlers.ports import Committed, LoadRequest, Pair, Plan, PlanRejected
from tests.handlers.events.malformed import MALFORMED
from tests.handlers.events.malformed_kind import CONTENT, altered, good
from tests.handlers.events.test_parser_properties import ways
from tests.handlers.wire_events import Json, conversation, event, notification, published, queued, text, work_item
from tests.worker.fake_clock import until
from tests.worker.pipeline_bench import InterruptibleStore, RunningPipeline, running_pipeline
from worker.cli.main import run

MARK: Final = "Zz9kQ"
"""Short, so that a piece of a long text still has it."""
WORDS: Final = f"{MARK} says hello, her number is {MARK}"


def told_everywhere(thing: Json) -> Json:
    """The event with marks beside everything modelled, in values and in names."""
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
    """Events that lead to syncs both ways, a wait, a refusal of old news and one that is none of ours."""
    return [
        told_everywhere(event(conversation(1, queue="q-1"))),
        told_everywhere(event(work_item(1, queue="q-1", status="queued", resourceRev=1))),
        told_everywhere(event(conversation(2, queue="q-1", users=("u-1",)), changes=_assigned())),
        told_everywhere(event(conversation(2, queue="q-1", users=("u-1",)), changes=_assigned())),
        told_everywhere(event(work_item(7, queue="q-2", status="assigned", user="u-2"), at=9)),
        told_everywhere(event(conversation(9, queue="q-1", status="done"), changes=_assigned(), at=10)),
        {**told_everywhere(event(conversation(10, key="c-2"))), "name": "kustomer.tag.update"},
    ]


def _assigned() -> Json:
    return {"attributes": {"assignedUsers": {"op": "replace", "before": [], "after": ["u-1"]}}}


def broken() -> Iterator[str]:
    """A mark in the place of every value of an event, and of every name; and bodies that are no events at all."""
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


def nothing_of_a_customers(told: str) -> None:
    """`told` is all that was written."""
    for mark in (MARK, CONTENT, CONTENT.split("-", maxsplit=1)[0]):
        at = told.find(mark)
        assert at < 0, told[max(at - 300, 0) : at + 100]


def all_told(pipeline: RunningPipeline, capfd: pytest.CaptureFixture[str]) -> str:
    """The log, and whatever went to the outputs beside it."""
    return "".join([*(json.dumps(line, ensure_ascii=False) for line in pipeline.recorder.lines), *capfd.readouterr()])


async def test_events_and_dead_letters(capfd: pytest.CaptureFixture[str]) -> None:
    bodies = [*map(text, map(published, in_order())), *broken(), *(kind.body for kind in MALFORMED)]
    async with running_pipeline(*bodies) as pipeline:
        await until(lambda: not pipeline.queue.left)
        await pipeline.stop()
    told = all_told(pipeline, capfd)
    assert pipeline.recorder.messages.count("message dead-lettered") > 300
    assert {"applied", "skipped"} <= {line["outcome"] for line in pipeline.recorder.lines if "outcome" in line}
    nothing_of_a_customers(told)
    for letter in pipeline.queue.dead:
        # The body is the message as it came; what explains it is for people who may not read it.
        nothing_of_a_customers(letter.attributes["error_reason"]["StringValue"] if letter.attributes else "")
    assert len(pipeline.queue.dead) == pipeline.recorder.messages.count("message dead-lettered")


class Buggy(InterruptibleStore):
    """A store whose faults quote what they choked on."""

    def __init__(self, fault: Callable[[], Exception]) -> None:
        super().__init__()
        self._fault = fault

    async def load(self, wants: Sequence[LoadRequest]) -> dict[str, Pair]:
        raise self._fault()


class Rejecting(InterruptibleStore):
    """A store that refuses every plan, as one does that cannot encode it."""

    async def commit(self, plans: Sequence[Plan]) -> Sequence[Committed | PlanRejected]:
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
    nothing_of_a_customers(all_told(pipeline, capfd))


async def test_plans_that_the_store_refuses(capfd: pytest.CaptureFixture[str]) -> None:
    async with running_pipeline(*map(text, map(published, in_order())), store=Rejecting()) as pipeline:
        await until(lambda: "message goes back" in pipeline.recorder.messages)
        await pipeline.stop()
    assert "PLAN_REJECTED" in _codes(pipeline)
    nothing_of_a_customers(all_told(pipeline, capfd))


async def test_stored_documents_that_cannot_be_read(capfd: pytest.CaptureFixture[str]) -> None:
    store = InterruptibleStore()
    for attributes in ({"status": WORDS}, {"status": "open", "updatedAt": {MARK: WORDS}}):
        unreadable = {"org": "org-1", "rev": 20, "type": "conversation", "attributes": attributes}
        store.put_conversation({"_id": f"c-{len(attributes)}", **unreadable})
    late = told_everywhere(event(conversation(21, key="c-2"), changes=_assigned()))
    item = told_everywhere(event(work_item(1, of="c-2", key="w-2", status="queued")))
    async with running_pipeline(*map(text, map(published, [*in_order(), item, late])), store=store) as pipeline:
        await until(lambda: "STORED_DOCUMENT_UNREADABLE" in _codes(pipeline))
        await pipeline.stop()
    nothing_of_a_customers(all_told(pipeline, capfd))


def _codes(pipeline: RunningPipeline) -> set[str]:
    return {reason["code"] for line in pipeline.recorder.lines for reason in line.get("reasons", ())}


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    """A file with everything in it."""
    file = tmp_path / "events.ndjson"
    lines = [*map(text, in_order()), *(body.replace("\n", " ") for body in broken())]
    file.write_bytes("\n".join([*lines, WORDS, f'{{"{MARK}": "{MARK}"']).encode("utf-8", "surrogatepass"))
    return file


@pytest.mark.parametrize("mode", ["observe", "simulate", "explore"])
def test_replays(mode: str, capture: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["replay", mode, str(capture)]) == 1
    out, errors = capfd.readouterr()
    assert errors.count("events.ndjson:") > 300
    nothing_of_a_customers(out + errors)


def test_errors_of_decide(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Values are never repeated; a question's own misspelt names are, to whoever asked."""
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
    nothing_of_a_customers(out + errors)


def test_a_mark_in_the_output_is_found() -> None:
    with pytest.raises(AssertionError):
        nothing_of_a_customers(f"…{MARK}…")
