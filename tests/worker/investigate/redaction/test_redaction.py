"""Redaction: personal data has stand-ins, the same for the same value; ids and times stay."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.handlers.wire_events import LOST_ASSIGNMENT, conversation, event, notification, published, text
from tests.worker.investigate.capture_import.imports import ImportRunner, importing, one_line
from tests.worker.replay.replays import incident
from worker.cli.main import run
from worker.investigate.redaction.redactor import Redactor
from worker.investigate.redaction.stand_ins import StandIns
from worker.investigate.redaction.text_kinds import PersonalKind, kind_of_text

__all__ = ["importing"]

PERSONAL = (
    "Anna Schmidt",
    "anna.schmidt@example.com",
    "+49 30 901820",
    "sid=3b1f; path=/; HttpOnly",
    "eyJhbGciOi.eyJzdWI.x",
)


def redacted(value: dict[str, Any], redactor: Redactor | None = None) -> dict[str, Any]:
    result = json.loads((redactor or Redactor(StandIns(b"k" * 16))).redact(json.dumps(value)))
    assert isinstance(result, dict)
    return result


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("anna@example.com", PersonalKind.EMAIL),
        ("+1 303 555 0100", PersonalKind.PHONE),
        ("(0151) 234-56789", PersonalKind.PHONE),
        ("Bearer abc.def", PersonalKind.TOKEN),
        ("eyJhbGciOi.eyJzdWI.x", PersonalKind.TOKEN),
        ("sid=3b1f; path=/; HttpOnly", PersonalKind.COOKIE),
        ("call me at +1 303 555 0100", PersonalKind.TEXT),
    ],
)
def test_a_text_has_a_kind(value: str, kind: PersonalKind) -> None:
    assert kind_of_text(value) is kind


def test_no_personal_data_is_left_anywhere() -> None:
    attributes: dict[str, Any] = {
        "name": PERSONAL[0],
        "preview": PERSONAL[2],
        "custom": {
            "mailStr": PERSONAL[1],
            PERSONAL[0]: 91827364500,
            "isVipBool": True,
            "list": [PERSONAL[3], {"x": PERSONAL[4]}],
        },
        "status": "open",
        "channels": [PERSONAL[1]],
        "direction": PERSONAL[0],
    }
    data = conversation(2, key="c-1", **attributes)
    line = {
        **published(event(data, client=PERSONAL[1], note=PERSONAL[0])),
        "hostname": PERSONAL[1],
        "cookie": PERSONAL[3],
    }
    shown = json.dumps(redacted(line))
    assert [value for value in (*PERSONAL, "mailStr", "isVipBool", "91827364500") if value in shown] == []


def test_ids_times_and_what_the_rules_read_stay() -> None:
    line = published(event(conversation(2, key="c-1", queue="q-1", users=("u-1",)), at=1.5))
    assert redacted(line) == line


def test_the_same_value_has_the_same_stand_in_everywhere() -> None:
    redactor = Redactor(StandIns())
    first = redacted({"data": {"attributes": {"name": PERSONAL[0], "custom": {"phone": "+49 30 901820"}}}}, redactor)
    second = redacted({"data": {"attributes": {"preview": PERSONAL[0], "custom": {"phone": "+4930901820"}}}}, redactor)
    assert first["data"]["attributes"]["name"] == second["data"]["attributes"]["preview"]
    assert first["data"]["attributes"]["custom"] == second["data"]["attributes"]["custom"]
    assert first != redacted({"data": {"attributes": {"name": PERSONAL[0]}}}, Redactor(StandIns()))


def test_changes_are_redacted_as_the_snapshot_is() -> None:
    value = {
        "data": {"attributes": {"name": "Anna"}},
        "changes": {"attributes": {"name": {"op": "replace", "before": "", "after": "Anna"}}},
    }
    result = redacted(value)
    assert result["changes"]["attributes"]["name"]["after"] == result["data"]["attributes"]["name"] != "Anna"


def test_a_message_in_a_notification_is_redacted_inside() -> None:
    inner = published(event(conversation(2, name="Anna")))
    result = redacted({**notification(text(inner)), "UnsubscribeURL": "https://sns/?token=1", "Signature": "abc"})
    message = json.loads(result["Message"])
    assert message["id"] == inner["id"]
    assert message["body"]["data"]["attributes"]["name"].startswith("text-")
    assert result["UnsubscribeURL"].startswith("token-")


def test_what_is_not_replaced_stays_byte_for_byte() -> None:
    line = '{ "id":"e-1",  "rev" :1.50,"data":{"attributes":{"name":"Anna","rev":2 }} }'
    result = Redactor(StandIns()).redact(line.replace('"rev" :1.50,', '"v" :1.50,'))
    before, _, after = result.partition('"text-')
    assert before == '{ "id":"e-1",  "v" :1.50,"data":{"attributes":{"name":'
    assert after[16:] == '","rev":2 }} }'


def test_runs_with_one_key_agree_and_others_do_not(importing: ImportRunner, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("0123456789abcdef")
    with_key = ["--redaction-key-file", str(key), incident(LOST_ASSIGNMENT)]
    first, second = importing(*with_key, redact=True), importing(*with_key, redact=True)
    assert first.output == second.output != importing(incident(LOST_ASSIGNMENT), redact=True).output


def test_a_short_key_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = tmp_path / "key"
    key.write_text("short")
    assert run(["import", "--redaction-key-file", str(key), incident(LOST_ASSIGNMENT)]) == 2
    assert "could be guessed" in capsys.readouterr().err


def test_the_summary_counts_by_kind_and_field_and_shows_no_value(importing: ImportRunner) -> None:
    line = one_line(event(conversation(2, name="Anna", custom={"Anna": "anna@example.com"})))
    imported = importing.text(line, redact=True)
    assert imported.counts["redaction"] == {
        "replaced": {"email": 1, "field-name": 1, "text": 1},
        "fields": [
            {"kind": "email", "field": "data.attributes.custom.*", "count": 1},
            {"kind": "field-name", "field": "data.attributes.custom.*", "count": 1},
            {"kind": "text", "field": "data.attributes.name", "count": 1},
        ],
    }
    assert "Anna" not in json.dumps(imported.report)
    assert "anna@" not in str(imported.output)
