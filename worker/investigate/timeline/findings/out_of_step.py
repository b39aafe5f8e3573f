"""Pairs out of step: `OUT_OF_STEP`.

A field is out of step while a rule of either table would write it (docs/rules.md): that, and not every difference, is
what a sync has to answer. The rules are those of policy `causal`.
"""

from collections.abc import Iterator

from msgspec import Struct

from sync.conversation import FIELDS, Field
from sync.gates import Policy
from sync.rules_forward import assignee_after_forward, work_item_writes
from sync.rules_reverse import conversation_writes
from worker.investigate.timeline.entry import TimelineEntry
from worker.investigate.timeline.findings.facts import TimelineFacts, lapse, shown_value
from worker.investigate.timeline.timeline import (
    FindingKind,
    TimelineFinding,
    TimelineLimits,
    cite,
    key_of,
)


class _Episode(Struct, frozen=True, kw_only=True):
    """A field that is out of step since an entry. `begins` False: it may have been so before the first captured one."""

    field: Field
    since: TimelineEntry
    begins: bool
    conversation: TimelineEntry
    item: TimelineEntry


def out_of_step(facts: TimelineFacts, limits: TimelineLimits) -> Iterator[TimelineFinding]:
    """The findings of the pair, of each field those that last longer than the limit or to the end of the capture."""
    walk = _Walk()
    for entry in facts.entries:
        for episode in walk.step(entry):
            yield from _ended(facts, episode, entry, limits)
    for episode in walk.episodes.values():
        yield _unended(facts, episode, limits)


class _Walk:
    """The pair entry by entry, with the episodes that are open."""

    def __init__(self) -> None:
        self.episodes: dict[Field, _Episode] = {}
        self._conversation: TimelineEntry | None = None
        self._item: TimelineEntry | None = None

    def step(self, entry: TimelineEntry) -> Iterator[_Episode]:
        """Take the next entry; yields the episodes that it ends."""
        is_first_sight = self._conversation is None or self._item is None
        if entry.side == "conversation":
            self._conversation = entry
        elif self._item is None or _replaces(entry, self._item):
            if self._item is not None and self._item.document_id != entry.document_id:
                # A new work-item begins a new history.
                yield from self.episodes.values()
                self.episodes, is_first_sight = {}, True
            self._item = entry
        else:
            return
        if self._conversation is None or self._item is None:
            return
        differing = fields_out_of_step(self._conversation, self._item)
        for field in FIELDS:
            if field not in differing:
                ended = self.episodes.pop(field, None)
                if ended is not None:
                    yield ended
            elif field not in self.episodes:
                self.episodes[field] = _Episode(
                    field=field,
                    since=entry,
                    begins=not is_first_sight or entry.creation or entry.changed(field),
                    conversation=self._conversation,
                    item=self._item,
                )


def _replaces(entry: TimelineEntry, item: TimelineEntry) -> bool:
    """Whether the entry's work-item is the pair's from now on: the same one, or a later one."""
    if entry.document_id == item.document_id:
        return True
    ours, theirs = entry.state, item.state
    return ours is not None and theirs is not None and (ours.number > theirs.number or theirs.closed)


def fields_out_of_step(conversation: TimelineEntry, item: TimelineEntry) -> frozenset[Field]:
    """The shared fields that a rule would write on this pair. The entries are the latest of their records."""
    if conversation.state is None or item.state is None:
        return frozenset()
    ours = conversation.state.as_conversation(conversation.document_id, conversation.rev)
    theirs = item.state.as_work_item(item.document_id, item.rev)
    forward = work_item_writes(ours, theirs, Policy.CAUSAL, assignee=assignee_after_forward(ours, theirs))
    return frozenset(each.field for each in (*conversation_writes(ours, theirs, Policy.CAUSAL), *forward))


def _ended(
    facts: TimelineFacts, episode: _Episode, end: TimelineEntry, limits: TimelineLimits
) -> Iterator[TimelineFinding]:
    since, until = episode.since.at, end.at
    if since is None or until is None or (until - since).total_seconds() <= limits.out_of_step_s:
        return
    yield TimelineFinding(
        kind=FindingKind.OUT_OF_STEP,
        text=f"{_difference(facts, episode)} for {lapse(since, until)}, until {facts.named(end)}.",
        field=episode.field,
        since=since,
        until=until,
        evidence=(
            cite(episode.since, "the records differ from here"),
            cite(_other(episode), "the other record then"),
            cite(end, "the records agree from here"),
        ),
        missing=tuple(_missing(facts, episode, end)),
    )


def _unended(facts: TimelineFacts, episode: _Episode, limits: TimelineLimits) -> TimelineFinding:
    since, until = episode.since.at, facts.timeline.captured_until
    missing = list(_missing(facts, episode, None))
    lasted = None if since is None or until is None else (until - since).total_seconds()
    if lasted is None or lasted <= limits.out_of_step_s:
        missing.append(
            f"what follows {facts.label(episode.since)}: the capture ends {lapse(since, until)} after it, so a sync "
            "may have answered later"
        )
    elif episode.since.file and until is not None:
        # The end of the store's own past is now; a capture may hold other pairs for longer than this one.
        last = max((each.at for each in facts.entries if each.at is not None), default=until)
        if (until - last).total_seconds() > limits.out_of_step_s:
            missing.append(
                f"whether the capture covers this pair to its end: nothing of the pair is captured in the last "
                f"{lapse(last, until)}"
            )
    is_answered = any(answer.cause == key_of(episode.since) for answer in facts.timeline.answers)
    answered = (
        "" if episode.since.is_sync or is_answered else f" No captured sync answers {facts.label(episode.since)}."
    )
    return TimelineFinding(
        kind=FindingKind.OUT_OF_STEP,
        text=f"{_difference(facts, episode)}, to the end of the capture {lapse(since, until)} later.{answered}",
        field=episode.field,
        since=since,
        until=None,
        evidence=(cite(episode.since, "the records differ from here"), cite(_other(episode), "the other record then")),
        missing=tuple(missing),
    )


def _difference(facts: TimelineFacts, episode: _Episode) -> str:
    field, since = episode.field, episode.since
    known = "since" if episode.begins else "at the latest since"
    return (
        f"The pair is out of step in {field} {known} {facts.named(since)}: the conversation has "
        f"{shown_value(field, episode.conversation)} (revision {episode.conversation.rev}), the work-item "
        f"{shown_value(field, episode.item)} (revision {episode.item.rev}"
        f"{facts.of_item(episode.item.document_id)})"
    )


def _other(episode: _Episode) -> TimelineEntry:
    return episode.item if episode.since.side == "conversation" else episode.conversation


def _missing(facts: TimelineFacts, episode: _Episode, end: TimelineEntry | None) -> Iterator[str]:
    """The revisions within the episode that are not captured: the records may have agreed meanwhile."""
    for record in (episode.conversation, episode.item):
        places = facts.entries_of(record.document_id)
        last = facts.entries[places[-1]] if end is None else facts.last_entry_at(record.document_id, key_of(end))
        gap = None if last is None else facts.missing_between(record.document_id, record.rev + 1, last.rev)
        if gap is not None:
            yield f"{gap}, in which the records may have agreed"
