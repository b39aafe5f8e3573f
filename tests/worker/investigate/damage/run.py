"""`make damage`: so many damaged documents imported, by number; what was restored, left out or wrong."""

import sys
import tempfile
from argparse import ArgumentParser
from collections import Counter
from pathlib import Path
from random import Random
from typing import Final

from tests.worker.investigate.damage.documents import Document, document
from tests.worker.investigate.damage.trial import TrialVerdict, tried

SHOWN_MAX: Final = 20
_KINDS: Final = ("exact", "left out", "differs", "violation")


class Summary:
    """The verdicts on all inputs. `by_damage`: those on events with one damage alone."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.by_damage: dict[str, Counter[str]] = {}
        self._shown: Counter[str] = Counter()

    def add(self, number: int, made: Document, verdict: TrialVerdict) -> None:
        """Count a document's verdicts; print the first violations and differences."""
        self.counts += verdict.counts
        ids = Counter(one.event["id"] for one in made.events)
        for placed in made.events:
            if len(placed.damages) == 1 and ids[placed.event["id"]] == 1:
                kind = self.by_damage.setdefault(placed.damages[0], Counter())
                kind["events"] += 1
                kind["left out"] += placed.event["id"] in verdict.lost
                kind["differs"] += placed.event["id"] in verdict.different
        self._show("violation", number, made, verdict.violations)
        self._show("reported, but wrong", number, made, verdict.differences)

    def _show(self, what: str, number: int, made: Document, lines: list[str]) -> None:
        for line in lines:
            self._shown[what] += 1
            if self._shown[what] <= SHOWN_MAX:
                sys.stdout.write(f"{what}: input {number} ({made.form}): {line}\n")

    def print(self, inputs: int, seed: int) -> None:
        """Print the sums."""
        sums = ", ".join(f"{self.counts[kind]:,} {_MEANINGS[kind]}" for kind in _KINDS)
        sys.stdout.write(f"{inputs:,} inputs, seed {seed}, {self.counts.total():,} events: {sums}\n")
        for name, kind in sorted(self.by_damage.items()):
            sys.stdout.write(
                f"  {name} alone: {kind['events']:,} events, {kind['left out']:,} left out, "
                f"{kind['differs']:,} wrong but reported\n"
            )


_MEANINGS: Final = {
    "exact": "exact",
    "left out": "left out and reported",
    "differs": "wrong but reported",
    "violation": "wrong or lost in silence",
}


def main() -> int:
    """Exit status 1 after a violation."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="begin with this number")
    parser.add_argument("--show", action="store_true", help="print the documents and the reports, too")
    arguments = parser.parse_args()
    summary = Summary()
    with tempfile.TemporaryDirectory() as folder:
        for number in range(arguments.first, arguments.first + arguments.inputs):
            made = document(Random(f"{arguments.seed}:{number}"))
            verdict = tried(made, Path(folder))
            if arguments.show:
                sys.stdout.write("\n".join([made.text, *verdict.reasons, ""]))
            summary.add(number, made, verdict)
    summary.print(arguments.inputs, arguments.seed)
    return 1 if summary.counts["violation"] else 0


if __name__ == "__main__":
    sys.exit(main())
