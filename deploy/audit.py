"""Audits every pinned dependency at the advisory service OSV: `python deploy/audit.py requirements.lock`.

The exit status is 1 if a pinned release has a known vulnerability, and if the audit itself fails. If the service cannot
be reached, one line says that nothing was audited, and the exit status is 0: the other checks work without internet.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any, Final

from msgspec import Struct

NOT_REACHED: Final = "not audited: the advisory service cannot be reached"

_SERVICE_FAULTS: Final = ("requests.exceptions.", "ServiceError", "ConnectionError", "Could not connect to")
_COMMAND: Final = (
    *(sys.executable, "-m", "pip_audit", "--vulnerability-service", "osv", "--timeout", "5"),
    *("--disable-pip", "--require-hashes", "--progress-spinner", "off", "--format", "json"),
)


class AuditVerdict(Struct, frozen=True, kw_only=True):
    """The lines to print, and whether the check passes."""

    lines: tuple[str, ...]
    passes: bool


def verdict_of(out: str, errors: str) -> AuditVerdict:
    """The verdict from pip-audit's JSON, or from its standard error if there is no JSON."""
    try:
        audited: list[dict[str, Any]] = json.loads(out)["dependencies"]
    except (ValueError, KeyError, TypeError):
        last = (errors.strip().splitlines() or ["it said nothing"])[-1]
        if any(fault in last for fault in _SERVICE_FAULTS):
            return AuditVerdict(lines=(NOT_REACHED,), passes=True)
        return AuditVerdict(lines=(f"the audit is broken: {last}",), passes=False)
    found = [_line(one, fault) for one in audited for fault in one.get("vulns", ())]
    skipped = sorted(one["name"] for one in audited if "skip_reason" in one)
    if skipped:
        # The service may answer for some dependencies only; the others are not audited.
        found.append(f"not audited: {', '.join(skipped)}")
    return AuditVerdict(lines=tuple(found), passes=not any(one.get("vulns") for one in audited))


def _line(dependency: dict[str, Any], fault: dict[str, Any]) -> str:
    fixed = ", ".join(fault.get("fix_versions") or ()) or "no release"
    return f"{dependency['name']} {dependency['version']}: {fault['id']}, fixed in {fixed}"


def main(locks: Sequence[str]) -> int:
    """Audit the lock files and print the findings; returns the exit status."""
    requirements = [argument for lock in locks for argument in ("--requirement", lock)]
    ran = subprocess.run([*_COMMAND, *requirements], capture_output=True, text=True, check=False)  # noqa: S603 - ours
    verdict = verdict_of(ran.stdout, ran.stderr)
    for line in verdict.lines:
        sys.stderr.write(f"{line}\n")
    return 0 if verdict.passes else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
