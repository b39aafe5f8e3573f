"""Log lines: one JSON object each, with the keys that existing searches use."""

import json
import logging
from io import BytesIO
from typing import Any

import pytest

from handlers.events.event import Event, UnsupportedEvent
from handlers.options import Options, PlanningContext
from handlers.planning.endings import own_sync_ending
from sync.gates import Policy
from tests.handlers.small_ports import CountedIds
from tests.worker.stand_ins.fake_clock import T0, FakeClock
from tests.worker.stand_ins.telemetry_recorder import TelemetryRecorder
from worker.telemetry.audit_log import log_handled, log_unsupported
from worker.telemetry.logs import LogIdentity, error_fields, open_log, redirect_library_logs
from worker.telemetry.metrics import Metric

ENVELOPE = ["name", "hostname", "pid", "level"]
AUDIT = [
    *ENVELOPE, "conversationId", "workItemId", "outcome", "direction", "updatedConversation", "updatedWorkItem",
    "before", "written", "reasons", "suppressed", "command", "event", "trigger", "policy", "shadow", "conversationRev",
    "workItemRev", "lagMs", "msg", "time", "v", "dd",
]  # fmt: skip


def _event() -> Event:
    return Event(
        id="e1", name="kustomer.conversation.update", side="conversation", org="o", partition="o",
        conversation_id="c1", document_id="c1", rev=3, data={}, client="api", is_sync=False, is_own_sync=False,
        published_at=T0, trace={"trace_id": "12", "span_id": "34"},
    )  # fmt: skip


def _lines(out: BytesIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_a_line_has_the_keys_and_the_levels_of_the_old_logs() -> None:
    out = BytesIO()
    identity = LogIdentity(service="routing-worker", version="1.2.3", env="test", hostname="host", pid=7)
    log = open_log(level="info", identity=identity, clock=FakeClock(), to=out)
    log.debug("below the level")
    log.info("a message", count=3)
    log.warning("a warning")
    log.error("an error")
    assert _lines(out)[0] == {
        "name": "routing-worker",
        "hostname": "host",
        "pid": 7,
        "level": 30,
        "count": 3,
        "msg": "a message",
        "time": "2024-05-06T07:08:09.123Z",
        "v": 0,
        "dd": {"service": "routing-worker", "version": "1.2.3", "env": "test"},
    }
    assert [line["level"] for line in _lines(out)] == [30, 40, 50]


def test_an_audit_line_has_exactly_its_keys() -> None:
    recorder = TelemetryRecorder()
    planning = PlanningContext(now=T0, queue_now=T0, ids=CountedIds(), options=Options())
    log_handled([own_sync_ending(_event(), planning=planning)], recorder.telemetry)
    (line,) = recorder.lines
    assert list(line) == AUDIT
    assert line["msg"] == "CONVERSATION_SYNC_AUDIT"
    assert line["event"]["id"] == "e1"
    assert line["dd"] == {"service": "routing-worker", "version": "unknown", "trace_id": "12", "span_id": "34"}
    assert recorder.counts[f"{Metric.LAG.value} event=kustomer.conversation.update"] == 1


def test_an_unsupported_event_has_an_audit_line() -> None:
    recorder = TelemetryRecorder()
    log_unsupported([UnsupportedEvent(id="e9", name="kustomer.tag.update")], Policy.LEGACY, recorder.telemetry)
    (line,) = recorder.lines
    assert list(line) == AUDIT
    assert (line["conversationId"], line["trigger"]) == (None, None)


def test_a_value_that_orjson_refuses_is_logged_all_the_same() -> None:
    recorder = TelemetryRecorder()
    recorder.telemetry.log.info("odd", number=2**70, text="half \ud800 pair", thing=T0)
    (line,) = recorder.lines
    assert line["number"] == 2**70


def test_an_exception_is_logged_by_type_and_place_and_never_by_its_message() -> None:
    with pytest.raises(ValueError, match="words") as raised:
        int("a customer's words")
    fields = error_fields(raised.value)
    assert fields["error"] == "ValueError"
    assert fields["stack"][-1].startswith("test_logs.py:")
    assert "words" not in str(fields)


@pytest.mark.usefixtures("logging_as_it_was")
def test_warnings_of_libraries_are_json_lines() -> None:
    out = BytesIO()
    redirect_library_logs(open_log(level="info", identity=LogIdentity(), clock=FakeClock(), to=out))
    logging.getLogger("some.library").info("below the level")
    logging.getLogger("some.library").warning("first %s\nsecond line", "line")
    (line,) = _lines(out)
    assert (line["msg"], line["logger"], line["level"]) == ("first line", "some.library", 40)
