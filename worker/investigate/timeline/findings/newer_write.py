"""Which of two writes is newer: the one that a sync copies, or the one that it overwrites.

A sync copies a field from one record to the other. It may overwrite an outside write of the other record only if the
write that it copies is newer, and a write is newer if its writer knew the other one (docs/rules.md, *Who is newer*):

| the sync writes | it copies the other record's last write of the field | the overwritten write is newer if |
|---|---|---|
| the conversation | a work-item's, which knew conversation revision k | its revision is above k |
| the work-item | a conversation's, at revision c | its writer knew c, or a later revision |

`paused`, and `status` of a closed conversation, always are the conversation's. A work-item in ivr that was never queued
takes no queue away, whatever its writer knew.
"""

from enum import Enum

from msgspec import Struct

from commands.work_item import Status
from sync.conversation import Field
from sync.gates import Policy
from worker.investigate.timeline.entry import TimelineEntry
from worker.investigate.timeline.findings.facts import TimelineFacts, is_before, lapse
from worker.investigate.timeline.timeline import key_of


class NewerWrite(Enum):
    """The newer one of two writes; UNKNOWN: the capture does not show it."""

    OVERWRITTEN = "overwritten"
    COPIED = "copied"
    UNKNOWN = "unknown"


class FieldOverwrite(Struct, frozen=True, kw_only=True):
    """A sync that changed a field of an outside write. `copied`: the place of the write whose value it copied."""

    place: int
    field: Field
    overwritten: int
    copied: int | None


class OverwriteJudgement(Struct, frozen=True, kw_only=True):
    """Who was newer, why, and what the capture lacks."""

    newer: NewerWrite
    because: str = ""
    missing: tuple[str, ...] = ()


def judged(facts: TimelineFacts, overwrite: FieldOverwrite) -> OverwriteJudgement:
    """The judgement on a sync that overwrote an outside write."""
    if facts.entries[overwrite.place].side == "conversation":
        return _judge_conversation_sync(facts, overwrite)
    return _judge_item_sync(facts, overwrite)


def _judge_conversation_sync(facts: TimelineFacts, overwrite: FieldOverwrite) -> OverwriteJudgement:
    """Whether the work-item's write that the sync copied knew the conversation's write that it overwrote."""
    written, field = facts.entries[overwrite.overwritten], overwrite.field
    if overwrite.copied is None:
        return OverwriteJudgement(
            newer=NewerWrite.UNKNOWN, missing=("the work-item's write whose value the sync copied",)
        )
    copied = facts.entries[overwrite.copied]
    knew = facts.known_rev(overwrite.copied)
    last = facts.last_entry(copied.document_id, overwrite.place)
    gap = None if last is None else facts.missing_between(copied.document_id, copied.rev + 1, facts.entries[last].rev)
    if gap is not None:
        return OverwriteJudgement(newer=NewerWrite.UNKNOWN, missing=(gap,))
    item = copied if last is None else facts.entries[last]
    if field == "queue" and _was_never_queued(item, facts.entries[overwrite.place]):
        because = f"{facts.label(item)} was in ivr and never queued, so it takes no queue away"
        return OverwriteJudgement(newer=NewerWrite.OVERWRITTEN, because=because)
    cause = cause_of(facts, overwrite.place)
    if knew is not None and knew >= written.rev:
        return OverwriteJudgement(newer=NewerWrite.COPIED)
    answered = cause if cause is not None and cause.side == "work-item" else copied
    if knew is not None:
        what = f"whose writer knew conversation {max(knew, answered.known_conversation_rev or 0)}"
        because = f"it answers {facts.named(answered)}, {what}, and {facts.named(written)} had changed {field} since"
        return OverwriteJudgement(newer=NewerWrite.OVERWRITTEN, because=because)
    says = f"which conversation revision {facts.label(copied)} knew"
    if not is_before(copied, written):
        return OverwriteJudgement(newer=NewerWrite.UNKNOWN, missing=(says,))
    because = (
        f"it copies {field} of {facts.named(copied)}, which was written {lapse(copied.at, written.at)} before "
        f"{facts.named(written)} and so did not know it"
    )
    return OverwriteJudgement(
        newer=NewerWrite.OVERWRITTEN, because=because, missing=(f"{says}: the clocks of both writers tell",)
    )


def _was_never_queued(item: TimelineEntry, sync: TimelineEntry) -> bool:
    """Whether the sync took the conversation's queue for a work-item that queue rules had yet to look at, which rule A6
    does not allow (docs/rules.md). Policy `causal` looks: it was decided on a later revision of the work-item, whose
    clock is behind."""
    state = item.state
    if any(reason.meta.get("policy") == Policy.CAUSAL for reason in sync.reasons) or state is None:
        return False
    takes = sync.state is not None and sync.state.queue is None
    return takes and state.status == Status.IVR and not state.queued_count


def _judge_item_sync(facts: TimelineFacts, overwrite: FieldOverwrite) -> OverwriteJudgement:
    """Whether the work-item's write that the sync overwrote knew the conversation's write that it copied."""
    sync, written, field = facts.entries[overwrite.place], facts.entries[overwrite.overwritten], overwrite.field
    is_closing = field == "status" and sync.state is not None and sync.state.closed
    if field == "paused" or is_closing:
        return OverwriteJudgement(newer=NewerWrite.COPIED)
    knew = written.known_conversation_rev
    compared = facts.known_rev(overwrite.place)
    if overwrite.copied is None:
        if compared is not None and knew is not None and compared <= knew:
            because = (
                f"it was decided on conversation {compared}, and {facts.named(written)} already knew conversation "
                f"{knew}"
            )
            return OverwriteJudgement(newer=NewerWrite.OVERWRITTEN, because=because)
        gap = facts.missing_between(facts.timeline.conversation_id, (knew or 0) + 1, compared or 2**53)
        lacks = gap or "the conversation's revisions before it"
        return OverwriteJudgement(
            newer=NewerWrite.UNKNOWN, missing=(f"{lacks}, one of which may have changed {field}",)
        )
    copied = facts.entries[overwrite.copied]
    if copied.is_sync:
        return _judge_echo(facts, overwrite, copied, written)
    if knew is not None:
        if knew < copied.rev:
            return OverwriteJudgement(newer=NewerWrite.COPIED)
        because = f"it carries {field} of {facts.named(copied)}, and {facts.named(written)} knew conversation {knew}"
        return OverwriteJudgement(newer=NewerWrite.OVERWRITTEN, because=because)
    if is_before(written, copied):
        return OverwriteJudgement(newer=NewerWrite.COPIED)
    return OverwriteJudgement(
        newer=NewerWrite.UNKNOWN, missing=(f"which conversation revision {facts.label(written)} knew",)
    )


def _judge_echo(
    facts: TimelineFacts, overwrite: FieldOverwrite, copied: TimelineEntry, written: TimelineEntry
) -> OverwriteJudgement:
    """The copied value came from the work-item itself, by a sync of the conversation: who wrote it there?"""
    origin = cause_of(facts, facts.last_change(copied.document_id, overwrite.field, overwrite.place) or 0)
    if origin is None or origin.document_id != written.document_id:
        return OverwriteJudgement(
            newer=NewerWrite.UNKNOWN, missing=(f"the work-item's write that {facts.label(copied)} answers",)
        )
    if origin.rev >= written.rev:
        return OverwriteJudgement(newer=NewerWrite.COPIED)
    because = (
        f"it carries back {overwrite.field} of {facts.named(origin)} by way of {facts.named(copied)}, and "
        f"{facts.named(written)} had changed it since"
    )
    return OverwriteJudgement(newer=NewerWrite.OVERWRITTEN, because=because)


def cause_of(facts: TimelineFacts, place: int) -> TimelineEntry | None:
    """The write that the sync at a place answers."""
    answer = facts.answers.get(key_of(facts.entries[place]))
    return None if answer is None or answer.cause is None else facts.entry_of(answer.cause)
