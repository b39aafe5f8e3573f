"""The fuzz target `import`: any bytes, and damaged captures, through the importer."""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from random import Random

from handlers.events.parser import read_object
from sync.audit import AUDIT_MESSAGE
from tests.fuzz.mutation import MARK, Mutator
from tests.worker.investigate.damage.documents import document
from worker.investigate.capture_import.importer import Importer
from worker.investigate.capture_import.json_repair.repairs import Repair
from worker.investigate.capture_import.record_store import AddedRecord, RecordStore
from worker.investigate.redaction.redactor import Redactor
from worker.investigate.redaction.stand_ins import StandIns

_NAMES = ("capture.log", "note.md", "export.csv")


def imported(random: Random) -> str:
    """Any bytes become events that the worker can read, or are left out; no report shows a customer's words."""
    made = document(random)
    raw = made.text.encode()
    match random.randrange(4):
        case 0:
            raw = random.randbytes(random.randrange(2_000))
        case 1:
            raw = Mutator(random).text(raw)
        case 2:
            at = random.randrange(len(raw))
            raw = raw[:at] + random.randbytes(random.randrange(20)) + raw[at:]
        case _:
            pass
    counts = _CheckedReports()
    with tempfile.TemporaryDirectory() as folder, RecordStore() as store:
        path = Path(folder) / random.choice(_NAMES)
        path.write_bytes(raw)
        for _ in Importer(store, Redactor(StandIns(b"fuzz" * 4)), counts).add(path):
            pass
        for text in store.in_order():
            assert b"\n" not in text
            value = json.loads(text)
            assert value.get("msg") == AUDIT_MESSAGE or read_object(value) is not None
        return "events" if len(store) else "nothing"


class _CheckedReports:
    """Checks what is reported."""

    def repaired(self, file: str, line: int, repairs: Sequence[tuple[int, Repair]]) -> None:
        assert file
        assert line > 0
        assert repairs
        assert not [repair for _, repair in repairs if MARK in repair.assumed]

    def left_out(self, file: str, line: int, last_line: int, reason: str) -> None:
        assert file
        assert last_line >= line >= 0
        assert reason
        assert MARK not in reason

    def doubtful(self, file: str, line: int, added: AddedRecord) -> None:
        assert file
        assert added.other is not None
        assert line > 0
