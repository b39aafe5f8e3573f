"""What the dependency audit makes of the tool's answers: a finding fails the check, a missing service does not."""

import json
from typing import Any

from deploy.audit import NOT_REACHED, verdict_of

CLEAN = {"name": "orjson", "version": "3.10.0", "vulns": []}
FAULTY = {"name": "six", "version": "1.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1", "2.0"], "aliases": []}]}
UNKNOWN = {"name": "tenacity", "skip_reason": "not found"}


def _out(*dependencies: dict[str, Any]) -> str:
    return json.dumps({"dependencies": dependencies, "fixes": []})


def test_nothing_found_passes_without_a_word() -> None:
    verdict = verdict_of(_out(CLEAN), "No known vulnerabilities found")
    assert (verdict.passes, verdict.lines) == (True, ())


def test_a_vulnerability_fails_with_the_release_that_mends_it() -> None:
    verdict = verdict_of(_out(CLEAN, FAULTY), "")
    assert (verdict.passes, verdict.lines) == (False, ("six 1.0: PYSEC-1, mended in 1.1, 2.0",))


def test_one_that_nothing_mends_fails_too() -> None:
    verdict = verdict_of(_out({**FAULTY, "vulns": [{"id": "PYSEC-2", "fix_versions": []}]}), "")
    assert (verdict.passes, verdict.lines) == (False, ("six 1.0: PYSEC-2, mended in no release",))


def test_a_service_out_of_reach_is_one_line_and_no_fault() -> None:
    errors = "Traceback (most recent call last):\n  …\nrequests.exceptions.ConnectionError: Max retries exceeded\n"
    verdict = verdict_of("", errors)
    assert (verdict.passes, verdict.lines) == (True, (NOT_REACHED,))


def test_what_the_service_does_not_know_is_not_passed_off_as_audited() -> None:
    verdict = verdict_of(_out(CLEAN, UNKNOWN), "")
    assert (verdict.passes, verdict.lines) == (True, ("not audited: tenacity",))


def test_an_audit_that_cannot_be_made_is_no_missing_service() -> None:
    verdict = verdict_of("", "ERROR: invalid requirements input: requirements.lock")
    assert (verdict.passes, verdict.lines) == (
        False,
        ("the audit is broken: ERROR: invalid requirements input: requirements.lock",),
    )
