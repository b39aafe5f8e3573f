"""Plays both parts of the demo, prints them, and gathers the checks and what a script may want to read."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import groupby
from typing import Any, assert_never

from msgspec import Struct, to_builtins
from rich.console import Console

from demo.incident import CONVERSATION, ENDS, WORK_ITEM, deliveries, recorded_write, stored_writes
from demo.installation import Installation
from demo.messages import described
from demo.processes import ApiClient, Record
from demo.report import (
    End,
    EndCheck,
    EventRow,
    IncidentRow,
    end_of,
    ends_table,
    events_table,
    incident_table,
    show_checks,
    waits_table,
)
from demo.story import CHAT, PAIRS, QUEUES, RULES, SESSIONS, EventStep, Step, UpdateStep, story
from demo.waits import OwnClock, StepSpan

_INCIDENT = """
[bold]2022-03-02: an agent is assigned, and un-assigned a tenth of a second later[/bold]
Queue rules (the service routing-worker) queue a work-item. They do not know
that a workflow has assigned the conversation to agent …77c1. All three writes
are stored before the first event is delivered."""
_DAY = "\n[bold]A day in the life of the causal worker[/bold]"


class Demo(Struct, kw_only=True):
    """`checks`: every sentence about the ends, and whether it is true. `printed`: what was printed, for scripts."""

    console: Console
    checks: list[EndCheck]
    printed: dict[str, Any]

    def seed(self, installation: Installation) -> None:
        """Store what the day needs. The worker keeps queue rules in memory, so they are there from the start."""
        installation.seed(work_sessions=SESSIONS, queues=QUEUES, queue_rules=RULES)

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
        self.console.print(_INCIDENT, highlight=False)
        self.console.print(incident_table(rows))
        self.console.print(ends_table("How the pair ends", ends))
        written = [row.audits["legacy"]["updatedConversation"] for row in rows if row.audits["legacy"]]
        with self._checking():
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
        """Play the story's steps one at a time, and check how each pair ends and how long its customer waited."""
        self.console.print(_DAY)
        about = {pair.scene: pair.about for pair in PAIRS}
        clock = OwnClock()
        rows: list[EventRow] = []
        for scene, steps in groupby(story(), key=lambda step: step.scene):
            scene_rows = []
            with self.console.status(scene) as status:
                for step in steps:
                    status.update(f"{scene}: {step.what}")
                    if isinstance(step, UpdateStep):
                        # Its start is no part of the step's time.
                        installation.api.wait_until_started()
                    begun = datetime.now(UTC)
                    audit = _play(installation, step)
                    clock.note(step, StepSpan(begun, datetime.now(UTC)))
                    scene_rows.append(EventRow(scene=scene, what=step.what, audit=audit))
            self.console.print(f"\n{about[scene]}", highlight=False)
            self.console.print(events_table(scene, scene_rows))
            rows += scene_rows
        items = {pair.scene: pair.work_item or installation.work_item_of(pair.conversation) for pair in PAIRS}
        ends = {pair.scene: _end(installation, pair.conversation, items[pair.scene]) for pair in PAIRS}
        self.console.print(ends_table("How each pair ends", ends))
        told = clock.told_by(installation.api)
        self.console.print(waits_table(told, clock))
        chat = installation.work_item_of(CHAT)
        with self._checking():
            for pair in PAIRS:
                self._check(f"{pair.scene}: both records end as they must", ends[pair.scene] == pair.expected)
            self._check("waiting times: as the demo's own clock saw them, of that work-item", clock.agrees(told, chat))
            self._check_api(installation, chat)
        self.printed["events"] = [{"scene": row.scene, "what": row.what, "audit": row.audit} for row in rows]
        self.printed["pairs"] = [
            {"scene": pair.scene, "end": ends[pair.scene], "expected": pair.expected} for pair in PAIRS
        ]
        self.printed["waits"] = to_builtins(told)

    def stop(self, installations: list[Installation]) -> None:
        """Stop the processes, and check what they leave behind."""
        processes = [process for each in installations for process in each.processes]
        for process in processes:
            process.stop()
        statuses = [process.status() for process in processes]
        with self._checking():
            self._check("workers and API stopped on SIGTERM with status 0", set(statuses) == {0})
            for installation in installations:
                self._check_left_behind(installation)
            letters = [letter for each in installations for letter in each.dead_letters()]
            codes = [letter.get("error_code") for letter in letters]
            field = letters[0].get("error_reason", "").partition(":")[0] if letters else "none"
            self._check(
                f"one dead letter: {' '.join(map(str, codes))} of {field}",
                (codes, field) == (["BAD_REVISION"], "data.attributes.rev"),
            )
            sessions = [session for each in installations for session in each.database["work_sessions"].find()]
            entries = [entry for session in sessions for entry in (*session["workItems"], *session["pausedWorkItems"])]
            self._check("no agent's session holds a completed work-item", not entries)

    def _check_api(self, installation: Installation, work_item: str) -> None:
        refused = installation.api.put(work_item, {"routed": {"to": "agent-anna"}}, client=ApiClient.WRITE)
        self._check("a token of the role write may not route: 403", refused.status == 403)
        shown = [
            installation.page("/", until=lambda text: CHAT in text and "queue-support" in text),
            installation.page(f"/conversations/{CHAT}", until=lambda text: work_item in text),
        ]
        self._check("the status page and the chat's page show it", None not in shown)

    def _check_left_behind(self, installation: Installation) -> None:
        policy, writes = installation.policy, installation.writes()
        back = installation.own_events()
        once = len({audit["event"]["id"] for audit in back}) == len(back) == writes
        idle = all(audit["outcome"] == "skipped" for audit in back)
        self._check(f"{policy}: every write came back as an event, once, and caused nothing: {writes}", once and idle)
        left = installation.queue_depth("SQS_QUEUE_URL"), installation.database["outbox"].count_documents({})
        self._check(f"{policy}: no message is left in the queue, no event in the outbox", left == (0, 0))

    def _check(self, what: str, holds: bool) -> None:
        self.checks.append(EndCheck(what=what, holds=holds))

    @contextmanager
    def _checking(self) -> Iterator[None]:
        """Print the checks that are made in the block."""
        made = len(self.checks)
        yield
        show_checks(self.console, self.checks[made:])


def _play(installation: Installation, step: Step) -> Record | None:
    """The audit record of the step's event; None for a dead letter."""
    match step:
        case EventStep():
            if step.stored is not None:
                installation.store(step.stored)
            message = step.message(installation.data)
            installation.publish(message)
            return installation.wait_until_handled(message, dead_letter=step.dead_letter)
        case UpdateStep():
            work_item = installation.work_item_of(step.conversation)
            return installation.update(work_item, step.update(), client=step.client)
        case _:
            assert_never(step)


def _end(installation: Installation, conversation: str, work_item: str) -> End:
    return end_of(installation.data("conversations", conversation), installation.data("work_items", work_item))
