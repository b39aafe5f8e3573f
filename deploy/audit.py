"""Asks the advisory service (OSV) about every pinned dependency: `python deploy/audit.py requirements.lock`.

Exit 1: something pinned has a known vulnerability, or the audit itself is broken. Where the service cannot be reached,
one line says that nothing was audited, and the exit is 0: a machine without the internet can still check the rest.
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


class Verdict(Struct, frozen=True, kw_only=True):
    """What to say, and whether the check passes."""

    lines: tuple[str, ...]
    passes: bool


def verdict_of(out: str, errors: str) -> Verdict:
    """What pip-audit's JSON, or in its absence its standard error, comes to."""
    try:
        audited: list[dict[str, Any]] = json.loads(out)["dependencies"]
    except (ValueError, KeyError, TypeError):
        last = (errors.strip().splitlines() or ["it said nothing"])[-1]
        if any(fault in last for fault in _SERVICE_FAULTS):
            return Verdict(lines=(NOT_REACHED,), passes=True)
        return Verdict(lines=(f"the audit is broken: {last}",), passes=False)
    found = [_line(one, fault) for one in audited for fault in one.get("vulns", ())]
    skipped = sorted(one["name"] for one in audited if "skip_reason" in one)
    if skipped:
        # A service that answers for some of them says nothing of the others.
        found.append(f"not audited: {', '.join(skipped)}")
    return Verdict(lines=tuple(found), passes=not any(one.get("vulns") for one in audited))


def _line(dependency: dict[str, Any], fault: dict[str, Any]) -> str:
    fixed = ", ".join(fault.get("fix_versions") or ()) or "no release"
    return f"{dependency['name']} {dependency['version']}: {fault['id']}, mended in {fixed}"


def main(locks: Sequence[str]) -> int:
    """Audit the locks and say what was found; the exit status."""
    requirements = [argument for lock in locks for argument in ("--requirement", lock)]
    ran = subprocess.run([*_COMMAND, *requirements], capture_output=True, text=True, check=False)  # noqa: S603 - ours
    verdict = verdict_of(ran.stdout, ran.stderr)
    for line in verdict.lines:
        sys.stderr.write(f"{line}\n")
    return 0 if verdict.passes else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
