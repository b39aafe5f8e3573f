"""A source's lines, and the end of reading them before the last one."""

from pathlib import Path

from worker.investigate.capture_import.sources import opened


def test_lines_that_are_not_read_to_the_end_may_be_dropped_after_the_file(tmp_path: Path) -> None:
    path = tmp_path / "capture.log"
    path.write_text("one\ntwo\n")
    with opened(path) as source:
        lines = source.lines()
        assert next(lines) == (1, "one\n")
    # As Ctrl-C leaves them: an error here is a traceback on standard error.
    lines.close()
