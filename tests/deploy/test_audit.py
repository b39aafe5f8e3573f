"""The dependency audit: a vulnerability fails the check, an unreachable service does not."""

import json
from typing import Any

from deploy.audit import NOT_REACHED, verdict_of

CLEAN = {"name": "orjson", "version": "3.10.0", "vulns": []}
FAULTY = {"name": "six", "version": "1.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1", "2.0"], "aliases": []}]}
UNKNOWN = {"name": "tenacity", "skip_reason": "not found"}


def _out(*dependencies: dict[str, Any]) -> str:
    return json.dumps({"dependencies": dependencies, "fixes": []})


def test_no_finding_passes_silently() -> None:
    verdict = verdict_of(_out(CLEAN), "No known vulnerabilities found")
    assert (verdict.passes, verdict.lines) == (True, ())


def test_a_vulnerability_fails_and_names_the_fixed_release() -> None:
    verdict = verdict_of(_out(CLEAN, FAULTY), "")
    assert (verdict.passes, verdict.lines) == (False, ("six 1.0: PYSEC-1, fixed in 1.1, 2.0",))


def test_a_vulnerability_without_a_fixed_release_fails() -> None:
    verdict = verdict_of(_out({**FAULTY, "vulns": [{"id": "PYSEC-2", "fix_versions": []}]}), "")
    assert (verdict.passes, verdict.lines) == (False, ("six 1.0: PYSEC-2, fixed in no release",))


def test_an_unreachable_service_is_one_line_and_passes() -> None:
    errors = "Traceback (most recent call last):\n  …\nrequests.exceptions.ConnectionError: Max retries exceeded\n"
    verdict = verdict_of("", errors)
    assert (verdict.passes, verdict.lines) == (True, (NOT_REACHED,))


def test_a_skipped_dependency_is_named_as_not_audited() -> None:
    verdict = verdict_of(_out(CLEAN, UNKNOWN), "")
    assert (verdict.passes, verdict.lines) == (True, ("not audited: tenacity",))


def test_a_broken_audit_fails() -> None:
    verdict = verdict_of("", "ERROR: invalid requirements input: requirements.lock")
    assert (verdict.passes, verdict.lines) == (
        False,
        ("the audit is broken: ERROR: invalid requirements input: requirements.lock",),
    )
