"""The report of a replay as lines for people."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from commands.instant import format_instant
from commands.reason import ReasonCode
from handlers.dry_run.flat_form import shown_conversation, shown_work_item
from handlers.ports import Pair
from worker.replay.pairs.half_pairs import HalfPairs
from worker.replay.recorded_syncs import DecisionLine
from worker.replay.reports.report import JsonObject, Report

_WRITTEN_NAMES: Final[Mapping[str, frozenset[str]]] = {
    "assignee": frozenset({"assignedTo", "assignedUsers"}),
    "queue": frozenset({"queue"}),
    "status": frozenset({"status"}),
    "ended": frozenset({"status", "ended", "resume"}),
    "paused": frozenset({"paused"}),
}
"""A shared field's names in the updates of both sides."""
_VIOLATIONS_MAX: Final = 3
"""How many violations one line names."""


class TextReport(Report):
    """A line a decision, with indented details; then the pairs at the end."""

    def decided(self, line: DecisionLine) -> None:
        """A line for the decision, and one for each write, each field that was held back and the recorded syncs."""
        self.line(f"{format_instant(line.at)}  {trigger_text(line.audit_json)}: {outcome_text(line.audit_json)}")
        for detail in details(line.audit_json):
            self.line(f"    {detail}")
        if line.recorded is not None:
            revs = ", ".join(str(event["rev"]) for event in line.recorded["events"])
            self.line(f"    recorded: {'; '.join(writes(line.recorded))} (rev {revs})")

    def final(
        self,
        pairs: Iterable[tuple[str, Pair]],
        violations: Sequence[tuple[str, JsonObject]],
        *,
        heading: str = "in the end",
    ) -> None:
        """The heading and the pairs, each with its violations of the contract; nothing where there is no pair."""
        by_conversation: dict[str, list[JsonObject]] = {}
        for conversation_id, violation in violations:
            by_conversation.setdefault(conversation_id, []).append(violation)
        for number, (conversation_id, pair) in enumerate(pairs):
            if not number:
                self.line("")
                self.line(heading)
            self.line(f"  conversation {conversation_id}: {conversation_text(pair)}")
            for document in pair.work_items:
                self.line(f"  work-item {document['_id']}: {work_item_text(shown_work_item(document))}")
            for violation in by_conversation.get(conversation_id, ()):
                self.line(f"    breaks the contract: {violation_text(violation)}")

    def remark(self, text: str) -> None:
        """The text after an empty line."""
        self.line("")
        self.line(text)

    def explored(self, explored: JsonObject) -> None:
        """The end states, each with its example."""
        end_states = explored["endStates"]
        held = f"no verdict: {explored['lacks']}" if "lacks" in explored else "the contract holds in all"
        broken = sum(end_state["count"] for end_state in end_states if end_state["violations"])
        self.line(
            f"conversation {explored['conversation']} under {explored['policy']}: {explored['interleavings']} "
            f"interleavings, {len(end_states)} end {'state' if len(end_states) == 1 else 'states'}, "
            f"{f'{broken} interleavings break the contract' if broken else held}"
        )
        for number, end_state in enumerate(end_states, start=1):
            self.line("")
            self.line(f"  {number}. {end_state['count']} of {explored['interleavings']}")
            self._end_state(end_state)

    def _end_state(self, end_state: JsonObject) -> None:
        if end_state["conversation"] is not None:
            self.line(f"     conversation: {flat_conversation_text(end_state['conversation'])}")
        if end_state["workItem"] is not None:
            self.line(f"     work-item: {work_item_text(end_state['workItem'])}")
        for violation in end_state["violations"]:
            self.line(f"     breaks the contract: {violation_text(violation)}")
        self.line("     for example:")
        audits = iter(end_state["audit"])
        for step in end_state["example"]:
            if step.startswith("write"):
                self.line(f"       {step}")
                continue
            audit = next(audits)
            self.line(f"       {step}: {outcome_text(audit)}")
            for detail in details(audit):
                self.line(f"           {detail}")


def trigger_text(wire: JsonObject) -> str:
    """What caused the decision: an event, or a poll."""
    event = wire["event"]
    if event is None:
        return f"{wire['trigger']} poll of conversation {wire['conversationId']}"
    if wire["conversationId"] is None:
        return f"{event['name']} {event['id']}"
    side = wire["trigger"]
    key = wire["workItemId"] if side == "work-item" else wire["conversationId"]
    by = f" by {event['client']}" if event["client"] else ""
    return f"{side} {key} rev {event['rev']}{by}"


def outcome_text(wire: JsonObject) -> str:
    """The outcome, and the rules that wrote or the reasons why none did."""
    reasons = [
        f"{rule} {reason['code']}" if (rule := reason["meta"].get("rule")) else reason["code"]
        for reason in wire["reasons"]
    ]
    return f"{wire['outcome']}: {', '.join(reasons)}"


def details(wire: JsonObject) -> list[str]:
    """A line for each write, each field that was held back, and the causal policy's decision in shadow."""
    held = [
        f"held back: {field['field']} {field['code']} "
        f"(changed at {field['conversationRev']}, known {field['knownRev']})"
        for field in _held_back(wire)
    ]
    shadow = [f"causal would: {_shadow_text(wire['shadow'])}"] if wire.get("shadow") else []
    return [*writes(wire), *held, *shadow]


def _held_back(wire: JsonObject) -> list[JsonObject]:
    """The fields that the policy suppressed, without the fields that a rule of the newer side wrote."""
    return [field for field in wire["suppressed"] if not _is_written(wire, field)]


def _is_written(wire: JsonObject, field: JsonObject) -> bool:
    names = _WRITTEN_NAMES[field["field"]]
    match field["code"]:
        case ReasonCode.CONVERSATION_IS_NEWER:
            return not names.isdisjoint(wire["updatedWorkItem"] or ())
        case ReasonCode.WORK_ITEM_IS_NEWER:
            return not names.isdisjoint(wire["updatedConversation"] or ())
        case _:
            return False


def _shadow_text(shadow: JsonObject) -> str:
    """What the causal policy would have written, or why nothing, and which fields it would have held back."""
    written = "; ".join(writes(shadow)) or f"write nothing: {', '.join(reason['code'] for reason in shadow['reasons'])}"
    held = ", ".join(f"{field['field']} {field['code']}" for field in _held_back(shadow))
    return f"{written} ({held})" if held else written


def writes(wire: JsonObject) -> list[str]:
    """A line for the write to each side, by the names of the audit record."""
    lines = []
    for name, side in (("updatedConversation", "conversation"), ("updatedWorkItem", "work-item")):
        written = wire[name]
        if written is not None:
            fields = {key: value for key, value in written.items() if key != "rev"}
            against = f" against rev {written['rev']}" if "rev" in written else ""
            lines.append(f"{side}{against} {json.dumps(fields)}")
    return lines


def conversation_text(pair: Pair) -> str:
    """The pair's conversation in a few words."""
    if pair.conversation is None:
        return "not in the capture"
    return flat_conversation_text(shown_conversation(pair.conversation))


def flat_conversation_text(flat: JsonObject) -> str:
    """A conversation in a few words."""
    words = ["deleted" if flat["deleted"] else flat["status"], *(["ended"] if flat["ended"] else [])]
    users = ", ".join(flat["assignedUsers"])
    words += [f"assigned to {users}" if users else "unassigned", _queue_text(flat), f"rev {flat['rev']}"]
    return ", ".join(words)


def work_item_text(flat: JsonObject) -> str:
    """A work-item in a few words."""
    words = [flat["status"], *(["paused"] if flat["paused"] else [])]
    words += [f"assigned to {flat['assignedTo']}" if flat["assignedTo"] else "unassigned", _queue_text(flat)]
    return ", ".join([*words, f"rev {flat['rev']}"])


def violation_text(violation: JsonObject) -> str:
    """A violation of the contract in a few words."""
    expected, found = json.dumps(violation["expected"]), json.dumps(violation["found"])
    if violation["field"] is None:
        return f"point {violation['point']}: {found} writes of ours, at most {expected}"
    return f"point {violation['point']}: {violation['field']} should be {expected}, is {found}"


def contract_text(violations: Sequence[tuple[str, JsonObject]], pairs: HalfPairs) -> str:
    """Whether the contract holds, the violations, and on which pairs there is no verdict, in one line."""
    if not violations:
        return "the contract holds" if not pairs.halves else _no_verdict_text(pairs)
    texts = [f"conversation {key}: {violation_text(violation)}" for key, violation in violations[:_VIOLATIONS_MAX]]
    more = len(violations) - len(texts)
    return f"the contract is broken: {'; '.join([*texts, *([f'and {more} more'] if more else [])])}"


def _no_verdict_text(pairs: HalfPairs) -> str:
    held = f"the contract holds in {pairs.whole} of {pairs.whole + pairs.halves} pairs, no verdict on the others"
    texts = [f"conversation {key}: {lack}" for key, lack in pairs.named]
    more = [f"and {pairs.halves - len(texts)} more"] if pairs.halves > len(texts) else []
    return f"{held if pairs.whole else 'no verdict'}: {'; '.join([*texts, *more])}"


def _queue_text(flat: JsonObject) -> str:
    return f"queue {flat['queue']['id']}" if flat["queue"] else "no queue"
