"""Every form in which logs leave the places where they are kept gives the same events, byte for byte."""

import gzip
from pathlib import Path

import pytest

from tests.worker.investigate.capture_import.imports import EXPORTS, ImportRunner, importing

__all__ = ["importing"]

EVENTS = (EXPORTS / "events.ndjson").read_bytes()
FORMS = sorted(path.name for path in EXPORTS.iterdir() if path.name != "README.md")


@pytest.mark.parametrize("form", FORMS)
def test_each_form_gives_the_same_events_untouched(importing: ImportRunner, form: str) -> None:
    imported = importing(str(EXPORTS / form))
    assert imported.output == EVENTS
    assert (imported.status, imported.told("repair"), imported.told("leftOut")) == (0, [], [])


def test_all_forms_together_are_one_capture(importing: ImportRunner) -> None:
    imported = importing(*(str(EXPORTS / form) for form in FORMS))
    assert imported.output == EVENTS
    assert imported.counts["duplicates"] == 5 * (len(FORMS) - 1)


def test_each_form_is_cited() -> None:
    cited = (EXPORTS / "README.md").read_text()
    assert [form for form in FORMS if f"`{form}`" not in cited] == []


@pytest.mark.parametrize("encode", [gzip.compress, lambda raw: raw.decode().encode("utf-16")], ids=["gzip", "utf-16"])
def test_compressed_and_wide_files_are_read(importing: ImportRunner, encode: object) -> None:
    assert callable(encode)
    assert importing.text(encode((EXPORTS / "cloudwatch-export.log").read_bytes())).output == EVENTS


def test_an_export_to_s3_is_read_as_it_lies_in_the_bucket(importing: ImportRunner) -> None:
    """CloudWatch writes a file `000000.gz` per stream, promises no order in it, and leaves a file of its own beside."""
    lines = (EXPORTS / "cloudwatch-export.log").read_bytes().splitlines(keepends=True)
    first = importing.file(gzip.compress(b"".join(reversed(lines[2:]))), "000000.gz")
    second = importing.file(gzip.compress(b"".join(lines[:2])), "000001.gz")
    imported = importing(first, importing.file("Permission Check Successful", "aws-logs-write-test"), second)
    assert (imported.status, imported.output) == (0, EVENTS)


def test_a_damaged_gzip_file_is_reported_with_what_was_read_before(importing: ImportRunner, tmp_path: Path) -> None:
    imported = importing.text(gzip.compress(EVENTS)[:-20])
    (left_out,) = imported.told("leftOut")
    assert left_out["reason"].startswith("the gzip file is damaged")
    assert imported.status == 1
