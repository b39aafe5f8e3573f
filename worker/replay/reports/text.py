"""What a replay prints: JSON of interfaces.md, or lines for people. Nothing in it comes from the machine or its
clock."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from commands.instant import format_instant
from handlers.dry_run.flat_form import shown_conversation, shown_work_item
from worker.replay.pair_archive import PairState
from worker.replay.recorded_syncs import DecisionLine
from worker.replay.reports.report import Flat, Report

_NAMES: Final[Mapping[str, frozenset[str]]] = {
    "assignee": frozenset({"assignedTo", "assignedUsers"}),
    "queue": frozenset({"queue"}),
    "status": frozenset({"status"}),
    "ended": frozenset({"status", "ended", "resume"}),
    "paused": frozenset({"paused"}),
}
"""The names by which either side's update writes a shared field."""
_TOLD_MAX: Final = 3
"""So many broken promises are named in one line."""


class TextReport(Report):
    """For people."""

    def decided(self, line: DecisionLine) -> None:
        """A line that says what was decided, and one for each thing written, held back or recorded."""
        self.line(f"{format_instant(line.at)}  {asked(line.wire)}: {outcome(line.wire)}")
        for detail in details(line.wire):
            self.line(f"    {detail}")
        if line.recorded is not None:
            revs = ", ".join(str(event["rev"]) for event in line.recorded["events"])
            self.line(f"    recorded: {'; '.join(writes(line.recorded))} (rev {revs})")

    def final(
        self,
        pair_states: Iterable[tuple[str, PairState]],
        violations: Sequence[tuple[str, Flat]],
        *,
        heading: str = "in the end",
    ) -> None:
        """The pairs, each with what of the contract it breaks; nothing of none."""
        broken: dict[str, list[Flat]] = {}
        for conversation_id, violation in violations:
            broken.setdefault(conversation_id, []).append(violation)
        for number, (conversation_id, pair_state) in enumerate(pair_states):
            if not number:
                self.line("")
                self.line(heading)
            self.line(f"  conversation {conversation_id}: {conversation_text(pair_state)}")
            for document in pair_state.work_items:
                self.line(f"  work-item {document['_id']}: {work_item_text(shown_work_item(document))}")
            for violation in broken.get(conversation_id, ()):
                self.line(f"    breaks the contract: {violation_text(violation)}")

    def remark(self, text: str) -> None:
        """After an empty line."""
        self.line("")
        self.line(text)

    def explored(self, explored: Flat) -> None:
        """The end states, each with the shortest way there."""
        ends = explored["endStates"]
        broken = sum(end["count"] for end in ends if end["violations"])
        self.line(
            f"conversation {explored['conversation']} under {explored['policy']}: {explored['interleavings']} "
            f"interleavings, {len(ends)} end {'state' if len(ends) == 1 else 'states'}, "
            f"{f'{broken} interleavings break the contract' if broken else 'the contract holds in all'}"
        )
        for number, end in enumerate(ends, start=1):
            self._end_state(number, end, explored["interleavings"])

    def _end_state(self, number: int, end: Flat, of: int) -> None:
        self.line("")
        self.line(f"  {number}. {end['count']} of {of}")
        if end["conversation"] is not None:
            self.line(f"     conversation: {_conversation_text(end['conversation'])}")
        if end["workItem"] is not None:
            self.line(f"     work-item: {work_item_text(end['workItem'])}")
        for violation in end["violations"]:
            self.line(f"     breaks the contract: {violation_text(violation)}")
        self.line("     for example:")
        audits = iter(end["audit"])
        for step in end["example"]:
            if step.startswith("write"):
                self.line(f"       {step}")
                continue
            audit = next(audits)
            self.line(f"       {step}: {outcome(audit)}")
            for detail in details(audit):
                self.line(f"           {detail}")


def asked(wire: Flat) -> str:
    """Who asked for the decision."""
    event = wire["event"]
    if event is None:
        return f"{wire['trigger']} poll of conversation {wire['conversationId']}"
    if wire["conversationId"] is None:
        return f"{event['name']} {event['id']}"
    side = wire["trigger"]
    key = wire["workItemId"] if side == "work-item" else wire["conversationId"]
    by = f" by {event['client']}" if event["client"] else ""
    return f"{side} {key} rev {event['rev']}{by}"


def outcome(wire: Flat) -> str:
    """What was decided and by which rules, or why nothing was."""
    told = [
        f"{rule} {reason['code']}" if (rule := reason["meta"].get("rule")) else reason["code"]
        for reason in wire["reasons"]
    ]
    return f"{wire['outcome']}: {', '.join(told)}"


def details(wire: Flat) -> list[str]:
    """What was written, and what was held back."""
    held = [
        f"held back: {field['field']} {field['code']} "
        f"(changed at {field['conversationRev']}, known {field['knownRev']})"
        for field in _held_back(wire)
    ]
    shadow = [f"causal would: {_shadow_text(wire['shadow'])}"] if wire.get("shadow") else []
    return [*writes(wire), *held, *shadow]


def _held_back(wire: Flat) -> list[Flat]:
    """The fields on which a rule was not allowed to write, but for those that the newer side's own rule carried."""
    return [field for field in wire["suppressed"] if not _carried(wire, field)]


def _carried(wire: Flat, field: Flat) -> bool:
    names = _NAMES[field["field"]]
    match field["code"]:
        case "CONVERSATION_IS_NEWER":
            return not names.isdisjoint(wire["updatedWorkItem"] or ())
        case "WORK_ITEM_IS_NEWER":
            return not names.isdisjoint(wire["updatedConversation"] or ())
        case _:
            return False


def _shadow_text(shadow: Flat) -> str:
    """What causal would have written, or why nothing, and what it would have held back."""
    told = "; ".join(writes(shadow)) or f"write nothing: {', '.join(reason['code'] for reason in shadow['reasons'])}"
    held = ", ".join(f"{field['field']} {field['code']}" for field in _held_back(shadow))
    return f"{told} ({held})" if held else told


def writes(wire: Flat) -> list[str]:
    """What is written to either side, in the names of the audit."""
    told = []
    for name, side in (("updatedConversation", "conversation"), ("updatedWorkItem", "work-item")):
        written = wire[name]
        if written is not None:
            fields = {key: value for key, value in written.items() if key != "rev"}
            against = f" against rev {written['rev']}" if "rev" in written else ""
            told.append(f"{side}{against} {json.dumps(fields)}")
    return told


def conversation_text(pair_state: PairState) -> str:
    """A conversation in a few words."""
    if pair_state.conversation is None:
        return "not in the capture"
    return _conversation_text(shown_conversation(pair_state.conversation))


def _conversation_text(flat: Flat) -> str:
    told = ["deleted" if flat["deleted"] else flat["status"], *(["ended"] if flat["ended"] else [])]
    users = ", ".join(flat["assignedUsers"])
    told += [f"assigned to {users}" if users else "unassigned", _queue_text(flat), f"rev {flat['rev']}"]
    return ", ".join(told)


def work_item_text(flat: Flat) -> str:
    """A work-item in a few words."""
    told = [flat["status"], *(["paused"] if flat["paused"] else [])]
    told += [f"assigned to {flat['assignedTo']}" if flat["assignedTo"] else "unassigned", _queue_text(flat)]
    return ", ".join([*told, f"rev {flat['rev']}"])


def violation_text(violation: Flat) -> str:
    """A broken promise in a few words."""
    expected, found = json.dumps(violation["expected"]), json.dumps(violation["found"])
    if violation["field"] is None:
        return f"point {violation['point']}: {found} writes of ours, at most {expected}"
    return f"point {violation['point']}: {violation['field']} should be {expected}, is {found}"


def contract_text(violations: Sequence[tuple[str, Flat]]) -> str:
    """Whether the contract holds, and what breaks it, in one line."""
    if not violations:
        return "the contract holds"
    told = [f"conversation {key}: {violation_text(violation)}" for key, violation in violations[:_TOLD_MAX]]
    more = len(violations) - len(told)
    return f"the contract is broken: {'; '.join([*told, *([f'and {more} more'] if more else [])])}"


def _queue_text(flat: Flat) -> str:
    return f"queue {flat['queue']['id']}" if flat["queue"] else "no queue"
