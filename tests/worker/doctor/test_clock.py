"""This machine's clock beside another one, which was read somewhere between a question and its answer."""

from datetime import UTC, datetime, timedelta

import pytest

from worker.doctor.aws_area import note_clock
from worker.doctor.notebook import Notebook
from worker.findings import FindingCode, findings_of

DATE = datetime(2026, 11, 27, 20, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("asked_s", "answered_s", "code", "found"),
    [
        (0.9, 1.1, None, None),
        (-9, 9, None, None),
        (0.5, 60, None, None),
        (-60, -1.5, None, None),
        (2.5, 2.6, FindingCode.CLOCK_DRIFTS, "2 s ahead"),
        (-60, -3, FindingCode.CLOCK_DRIFTS, "3 s behind"),
        (241, 242, FindingCode.CLOCK_OFF, "241 s ahead"),
        (-301, -300, FindingCode.CLOCK_OFF, "300 s behind"),
    ],
)
def test_a_clock_is_off_by_what_the_call_does_not_explain(
    asked_s: float, answered_s: float, code: FindingCode | None, found: str | None
) -> None:
    notebook = Notebook("AWS", check_s=1, noted=lambda _: None)
    asked_at, answered_at = (DATE + timedelta(seconds=each) for each in (asked_s, answered_s))
    note_clock(notebook, "AWS", DATE, asked_at=asked_at, answered_at=answered_at)
    assert [(each.code, each.found.partition(":")[0]) for each in findings_of(notebook.results)] == (
        [] if code is None else [(code, found)]
    )
