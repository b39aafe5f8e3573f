"""The table of the stories in every order of delivery: `make stories`.

Exit status 1 where a story has another number of ends than the rules give it, an end that breaks the contract, or a
field that waits although every event was delivered.
"""

import argparse
import sys
import time
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from handlers.options import Options, PolicyInUse
from tests.causality.stories.day_to_day import STORIES, TWO_WAY_STORIES
from tests.causality.stories.orders import Orders, all_orders
from tests.causality.stories.story import Story

COLUMNS = ("story", "orders", "ends", "in violation", "flips of C", "of W", "mean")


def main(arguments: Sequence[str]) -> int:
    """Print the table; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--policy", choices=[policy.value for policy in PolicyInUse], default=PolicyInUse.CAUSAL.value)
    parser.add_argument("--examples", action="store_true", help="the ends of each story, and its path with most flips")
    asked = parser.parse_args(arguments)
    began, console = time.monotonic(), Console(width=100)
    table = Table(title=f"stories of a day, in every order of delivery, policy {asked.policy}")
    for name in COLUMNS:
        table.add_column(name, justify="left" if name == "story" else "right")
    wrong = False
    for story in (*STORIES, *TWO_WAY_STORIES):
        found = all_orders(story, Options(policy=PolicyInUse(asked.policy)))
        wrong = wrong or len(found.ends) != story.ends or found.violations > 0 or found.waiting > 0
        table.add_row(*_row(story, found))
        if asked.examples:
            _print_examples(console, story, found)
    console.print(table)
    console.print(f"{time.monotonic() - began:.0f} s")
    return int(wrong)


def _row(story: Story, found: Orders) -> tuple[str, ...]:
    return (
        story.name,
        f"{found.interleavings:,}",
        str(len(found.ends)),
        f"{found.violations:,}",
        str(found.conversation_flips_max),
        str(found.work_item_flips_max),
        f"{found.flips_mean:.2f}",
    )


def _print_examples(console: Console, story: Story, found: Orders) -> None:
    console.print(f"\n{story.name}", markup=False)
    for end in found.ends:
        said = f"; {'; '.join(end.broken_promises)}" if end.broken_promises else ""
        console.print(f"  {end.count:,} end as {dict(end.values)}{said}", markup=False)
        console.print("    " + "\n    ".join(end.example), markup=False)
    if found.flips_mean:
        console.print("  most flips:\n    " + "\n    ".join(found.worst), markup=False)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
