"""`make demo`: first the incident of 2022 under two policies, then a day in the life, in less than a minute.

Starts moto's server (SNS, SQS) and a real mongod, provisions, and starts two workers as processes, one with
`SYNC_POLICY=legacy`, one with `causal`. Publishes one event at a time, waits until it is handled, prints what the
workers wrote and why, and checks how every pair ends. Exit status 0 only if every check holds.
"""

import argparse
import json
import sys
import tempfile
from itertools import groupby
from pathlib import Path
from typing import Any

from rich.console import Console

from demo.incident import CONVERSATION, ENDS, WORK_ITEM, deliveries, recorded_write, stored_writes
from demo.installation import DemoError, Installation, embedded
from demo.messages import described
from demo.report import (
    WIDTH,
    Check,
    End,
    EventRow,
    IncidentRow,
    end_of,
    ends_table,
    events_table,
    incident_table,
    save_picture,
    show_checks,
)
from demo.story import PAIRS, QUEUES, SESSIONS, story
from server_process import ServerError

_INCIDENT = """
[bold]2022-03-02: an agent is assigned, and un-assigned a tenth of a second later[/bold]
Queue rules (the service routing-worker) queue a work-item. They do not know
that a workflow has assigned the conversation to agent …77c1. All three writes
are stored before the first event is delivered.
"""
_DAY = "\n[bold]A day in the life of the causal worker[/bold]"


class Demo:
    """Plays both parts, prints them, and gathers what a script may want to read."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self.checks: list[Check] = []
        self.printed: dict[str, Any] = {}

    def play_incident(self, installations: list[Installation]) -> None:
        """Store the three writes in each database, deliver their events to each worker, and check both ends."""
        messages = deliveries()
        for installation in installations:
            for message in stored_writes(messages).values():
                installation.store(message)
        rows = []
        for message in messages:
            for installation in installations:
                installation.publish(message)
            audits = {each.policy: each.wait_until_handled(message) for each in installations}
            rows.append(IncidentRow(what=described(message), audits=audits))
        ends = {each.policy: _end(each, CONVERSATION, WORK_ITEM) for each in installations}
        self._console.print(_INCIDENT, highlight=False)
        self._console.print(incident_table(rows))
        self._console.print(ends_table("How the pair ends", ends))
        written = [row.audits["legacy"]["updatedConversation"] for row in rows if row.audits["legacy"]]
        self._check("legacy writes what was recorded in 2022: the assignment is lost", recorded_write() in written)
        self._check("legacy ends with nobody assigned, on both sides", ends["legacy"] == ENDS["legacy"])
        self._check(
            "causal ends with agent …77c1 assigned on both sides, the queue kept", ends["causal"] == ENDS["causal"]
        )
        self.printed["incident"] = {
            "events": [{"what": row.what, "audits": row.audits} for row in rows],
            "ends": ends,
            "expected": ENDS,
        }

    def play_day(self, installation: Installation) -> None:
        """Publish the story's steps one at a time, and check how each pair ends."""
        installation.seed(SESSIONS, QUEUES)
        self._console.print(_DAY)
        about = {pair.scene: pair.about for pair in PAIRS}
        rows: list[EventRow] = []
        for scene, steps in groupby(story(), key=lambda step: step.scene):
            scene_rows = []
            with self._console.status(scene) as status:
                for step in steps:
                    status.update(f"{scene}: {step.what}")
                    if step.stored is not None:
                        installation.store(step.stored)
                    message = step.message(installation.data)
                    installation.publish(message)
                    audit = installation.wait_until_handled(message, dead_letter=step.dead_letter)
                    scene_rows.append(EventRow(scene=scene, what=step.what, audit=audit))
            self._console.print(f"\n{about[scene]}", highlight=False)
            self._console.print(events_table(scene, scene_rows))
            rows += scene_rows
        ends = {pair.scene: _end(installation, pair.conversation, pair.work_item) for pair in PAIRS}
        self._console.print(ends_table("How each pair ends", ends))
        for pair in PAIRS:
            self._check(f"{pair.scene}: both records end as they must", ends[pair.scene] == pair.expected)
        self.printed["events"] = [{"scene": row.scene, "what": row.what, "audit": row.audit} for row in rows]
        self.printed["pairs"] = [
            {"scene": pair.scene, "end": ends[pair.scene], "expected": pair.expected} for pair in PAIRS
        ]

    def stop(self, installations: list[Installation]) -> None:
        """Stop the workers, and check what they leave behind."""
        statuses = [each.worker.stop() for each in installations]
        self._check("both workers stopped on SIGTERM with status 0", statuses == [0, 0])
        for installation in installations:
            worker = installation.worker
            returned = worker.returned_syncs()
            self._check(
                f"{installation.policy}: every sync came back as an event, once, and caused nothing: {worker.writes()}",
                len(set(returned)) == len(returned) == worker.writes(),
            )
            left = installation.queue_depth("SQS_QUEUE_URL"), installation.database["outbox"].count_documents({})
            self._check(
                f"{installation.policy}: no message is left in the queue, no event in the outbox", left == (0, 0)
            )
        letters = [letter for each in installations for letter in each.dead_letters()]
        codes = [letter.get("error_code") for letter in letters]
        reason = letters[0].get("error_reason", "") if letters else ""
        self._check(
            f"one dead letter, with its reason: {' '.join(map(str, codes))}, {reason}", codes == ["BAD_REVISION"]
        )
        sessions = [session for each in installations for session in each.database["work_sessions"].find()]
        entries = [entry for session in sessions for entry in (*session["workItems"], *session["pausedWorkItems"])]
        self._check("no agent's session holds a completed work-item", not entries)

    def _check(self, what: str, holds: bool) -> None:
        self.checks.append(Check(what=what, holds=holds))


def run(console: Console) -> Demo:
    """Play the whole demo on servers of its own."""
    console.print("Starting SNS and SQS (moto), a real MongoDB and two workers …", style="dim")
    demo = Demo(console)
    with (
        tempfile.TemporaryDirectory(prefix="routing-sync-demo-") as folder,
        embedded(("legacy", "causal"), Path(folder)) as installations,
    ):
        demo.play_incident(installations)
        demo.play_day(installations[1])
        demo.stop(installations)
    show_checks(console, demo.checks)
    demo.printed["checks"] = [{"what": check.what, "holds": check.holds} for check in demo.checks]
    return demo


def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(
        prog="make demo", description="The whole worker on this machine, on embedded parts"
    )
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object to standard output instead of tables"
    )
    parser.add_argument("--svg", type=Path, metavar="FILE", help="save a picture of what is printed")
    asked = parser.parse_args()
    console = Console(stderr=asked.json, quiet=asked.json, record=asked.svg is not None)
    console.width = WIDTH if asked.svg else min(console.width, WIDTH)
    try:
        demo = run(console)
    except (DemoError, ServerError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("demo: stopped, with every server it started", file=sys.stderr)
        return 130
    if asked.json:
        print(json.dumps(demo.printed))
    if asked.svg:
        save_picture(console, asked.svg)
    return 0 if all(check.holds for check in demo.checks) else 1


def _end(installation: Installation, conversation: str, work_item: str) -> End:
    return end_of(installation.data("conversations", conversation), installation.data("work_items", work_item))


if __name__ == "__main__":
    sys.exit(main())
