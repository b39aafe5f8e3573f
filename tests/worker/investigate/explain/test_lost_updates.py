"""An answer that a finding cites says what was lost; one of a sync that lost nothing does not."""

from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import orjson

from worker.investigate.explain.explanation import Explanation, explain, explanation_wire
from worker.investigate.explain.log_files import LoggedPast, read_logs

_CAPTURE = Path(__file__).parents[3] / "fixtures/captured/incident-2022-03-02-lost-assignment"
_CONVERSATION, _WORK_ITEM = "621fc1d36a39b4aa389cb72b", "621fc1d5cb4ca800935aa935"


def read(*files: Path, of: str = _CONVERSATION) -> LoggedPast:
    faults: list[str] = []
    past = read_logs(files, of, print_error=faults.append, advance=lambda: None, stdin=BytesIO())
    assert faults == []
    return past


def _explained(*files: Path, at: datetime | None = None) -> Explanation:
    return explain(_CONVERSATION, None, read(*files), at=at)


def test_the_incident_says_which_assignment_was_overwritten() -> None:
    explanation = _explained(*sorted(_CAPTURE.glob("*.ndjson")))
    assert explanation.answer.text.endswith(
        "; it overwrote the assignment by workflow (conversation 6) of 105 ms before, "
        "which the write that it carried did not know (finding 1)"
    )
    assert explanation_wire(explanation)["answer"]["finding"] == {"number": 1, "kind": "UPDATE_LOST"}
    assert explanation.timeline.findings[0].kind == "UPDATE_LOST"


def test_of_an_earlier_time_the_assignment_lost_nothing() -> None:
    at = datetime(2022, 3, 2, 19, 13, 26, 400_000, tzinfo=UTC)
    explanation = _explained(*sorted(_CAPTURE.glob("*.ndjson")), at=at)
    assert explanation.answer.kind == "assigned"
    assert "overwrote" not in explanation.answer.text
    assert explanation_wire(explanation)["answer"]["finding"] is None


def test_a_sync_whose_write_knew_the_assignment_lost_nothing(tmp_path: Path) -> None:
    """The near-miss: the same events, and the work-item's write knew the conversation that it un-assigned."""
    text = (_CAPTURE / "events.ndjson").read_text()
    assert '"resourceRev":4' in text
    known = tmp_path / "events.ndjson"
    known.write_text(text.replace('"resourceRev":4', '"resourceRev":6'))
    explanation = _explained(known)
    assert explanation.answer.kind == "unassigned"
    assert "overwrote" not in explanation.answer.text
    assert explanation_wire(explanation)["answer"]["finding"] is None


def test_logs_tell_which_conversations_they_hold_and_whose_a_work_item_is(tmp_path: Path) -> None:
    lines = [{"msg": "CONVERSATION_SYNC_AUDIT", "conversationId": f"c-{number}", "workItemId": f"w-{number}",
              "outcome": "applied", "time": "2024-05-06T07:08:09Z"} for number in range(30)]  # fmt: skip
    log = tmp_path / "worker.log"
    log.write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))
    past = read(log, *sorted(_CAPTURE.glob("*.ndjson")), of="w-29")
    assert past.others == tuple(f"c-{number}" for number in range(11)), "bounded"
    assert past.owner == "c-29"
    assert read(_CAPTURE / "events.ndjson", of=_WORK_ITEM).owner == _CONVERSATION
    assert read(_CAPTURE / "recorded-audit.ndjson", of="c-9").others == (_CONVERSATION,)
