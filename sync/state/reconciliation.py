"""The state after a decision, after a wait, and after a commit (docs/rules.md, *The sync state*). Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from msgspec import Struct, field
from msgspec.structs import replace

from commands.work_item import WorkItem
from sync.conversation import FIELDS, Conversation, ConversationStatus, Field
from sync.gates import Side
from sync.state.agreement import agreed_fields, shared_values
from sync.state.revision_runs import RevisionRuns, covers, highest, highest_gap, with_range
from sync.state.sync_state import DoneBy, SyncState, Waiting, for_pair, raised_revisions, with_changes, with_views


class Reconciled(Struct, frozen=True, kw_only=True):
    """The parts of a decision that the state keeps, besides the pair that the decision left.

    - `wrote`: the lowest new revision of each side that the sync wrote. A restored document leaves revisions out.
    - `fired`: the fields for which a rule fired.
    - `undecided`: the fields whose newer side is not known.
    - `assumed`: the fields that were decided by the assumption of the first sight.
    - `resumed`: rule B2 or B3 took the work-item of an ended conversation out of wrap-up.
    - `completion`: rule A1 wrote the conversation.
    """

    wrote: Mapping[Side, int] = field(default_factory=dict)
    fired: frozenset[Field] = frozenset()
    undecided: frozenset[Field] = frozenset()
    assumed: frozenset[Field] = frozenset()
    resumed: bool = False
    completion: bool = False


NOTHING_WRITTEN: Final = Reconciled()


def after_reconcile(
    state: SyncState,
    conversation: Conversation,
    item: WorkItem,
    decided: Reconciled = NOTHING_WRITTEN,
    *,
    queue_now: datetime,
) -> SyncState:
    """The state after a decision that left the pair as given. `queue_now`: the time by SQS's clock.

    - A revision that the sync wrote counts as observed. A revision that was only read does not: its event has not
      arrived.
    - Where both sides agree on a field, the work-item knows the conversation's revision. Where they differ, `known` and
      `changed` stay, so the newer side stays the newer one.
    - An undecided field for which a rule fired waits while the sides differ.
    - A field on which the sides differ is viewed only if observed revisions decided it: an unobserved write may have
      changed its value.
    - A work-item older than the state's changes nothing.
    """
    state = for_pair(state, item)
    if state.work_item != item.id:
        return state
    known, known_at, changed = dict(state.known), dict(state.known_at), state.changed
    agreed = agreed_fields(conversation, item)
    for name in agreed:
        known[name], known_at[name] = conversation.rev, item.rev
    if decided.resumed and "ended" not in agreed:
        # The conversation stays ended: the work-item goes to wrap-up again once an agent takes it (rule B7).
        changed = {**changed, "ended": conversation.rev}
        known["ended"], known_at["ended"] = conversation.rev - 1, item.rev
    conversation_observed, work_item_observed = state.conversation_observed, state.work_item_observed
    if "conversation" in decided.wrote:
        conversation_observed = with_range(conversation_observed, decided.wrote["conversation"], conversation.rev)
    if "work-item" in decided.wrote:
        work_item_observed = with_range(work_item_observed, decided.wrote["work-item"], item.rev)
    views = shared_values(conversation)
    for name in (decided.undecided | decided.assumed) - agreed:
        del views[name]
    waiting = None
    if decided.fired & (decided.undecided - agreed):
        waiting = state.waiting or Waiting(
            since=queue_now,
            conversation_rev=conversation.rev,
            work_item_rev=item.rev,
            values=shared_values(conversation),
        )
    return with_changes(
        state,
        conversation_observed=conversation_observed,
        work_item_observed=work_item_observed,
        view=with_views(state.view, views, conversation.rev),
        changed=changed,
        known=known,
        known_at=known_at,
        done_by=DoneBy(number=item.number, rev=conversation.rev) if decided.completion else state.done_by,
        waiting=waiting,
    )


def after_waiting(state: SyncState, conversation: Conversation) -> SyncState:
    """The state after the watermark has passed the time since which the pair waits (docs/rules.md, *Waiting, and
    the gap poll*).

    - Every revision up to those noted in `waiting` counts as observed.
    - A field whose value at the noted revision differs from an older view changed without an event, at the highest
      noted revision whose event did not come: an event that came would have told of it. (At the noted revision if every
      event came: one of an unknown name tells nothing.) Its view is then that value, at the noted revision, or a second
      wait would count the change again. A state of an older worker has noted no values. Later revisions have their own
      events, so there the stored value shows it only once all of them are observed.
    - A field that no event told anything about is the conversation's, which is the source of truth.
    """
    waiting = state.waiting
    if waiting is None:
        return state
    noted = waiting.conversation_rev
    observed = with_range(state.conversation_observed, 1, noted)
    values = waiting.values
    if not values and covers(observed, 1, conversation.rev):
        values = shared_values(conversation)
    unannounced_rev = highest_gap(state.conversation_observed, noted) or noted
    unannounced: list[Field] = []
    for name in FIELDS:
        viewed = state.view.get(name)
        if viewed is None:
            # A change that the end of an earlier wait assumed stays where it was.
            if not any(name in told for told in (state.known, state.touched, state.changed)):
                unannounced.append(name)
        elif name in values and viewed.rev < unannounced_rev and viewed.value != values[name]:
            unannounced.append(name)
    return replace(
        state,
        conversation_observed=observed,
        work_item_observed=with_range(state.work_item_observed, 1, waiting.work_item_rev),
        changed=raised_revisions(state.changed, unannounced, unannounced_rev),
        view=with_views(
            state.view,
            {name: values[name] for name in unannounced if name in state.view},
            noted if waiting.values else conversation.rev,
        ),
        waiting=None,
    )


def with_stored_revisions(
    state: SyncState, conversation: Conversation | None, item: WorkItem | None, *, now: datetime
) -> SyncState:
    """The state with the revisions that the store holds, and with the time at which the pair was first seen finished.

    A pair is finished when the conversation is closed and the work-item is completed; one of the two may be missing.
    """
    of_pair = item is not None and item.id == state.work_item
    # A re-opened conversation is not closed: its state still says that the re-opening is newer than the completion.
    closed = conversation is None or conversation.deleted or conversation.status is ConversationStatus.DONE
    any_stored = conversation is not None or item is not None
    finished = any_stored and closed and (item is None or (of_pair and not item.active))
    return with_changes(
        state,
        conversation_rev=max(state.conversation_rev, conversation.rev if conversation else 0),
        work_item_rev=max(state.work_item_rev, item.rev) if item and of_pair else state.work_item_rev,
        conversation_floor=_floor(state.conversation_floor, conversation),
        work_item_floor=_floor(state.work_item_floor, item if of_pair else None),
        finished_at=(state.finished_at or now) if finished else None,
    )


def reset_if_restored(state: SyncState, *, conversation_rev: int | None, work_item_rev: int | None) -> SyncState:
    """The state; a new one where a stored revision is below one stored before: a restored database (docs/rules.md,
    *A restored database*). The new one keeps the highest revision of each document, because no revision may be
    announced twice, and the tombstone of a conversation that is not stored.

    The revisions are those of the stored conversation and of the stored work-item that the state names, None where it
    is missing.
    """
    conversation_fell = conversation_rev is not None and conversation_rev < state.conversation_rev
    work_item_fell = work_item_rev is not None and work_item_rev < state.work_item_rev
    if not conversation_fell and not work_item_fell:
        return state
    return SyncState(
        version=state.version,
        conversation_rev=state.conversation_rev if conversation_rev is None else 0,
        conversation_floor=max(state.conversation_rev, highest(state.conversation_observed), state.conversation_floor),
        work_item=state.work_item,
        work_item_number=state.work_item_number,
        work_item_floor=max(state.work_item_rev, highest(state.work_item_observed), state.work_item_floor),
        deleted_rev=state.deleted_rev if conversation_rev is None else None,
    )


def next_rev(rev: int, observed: RevisionRuns, floor: int) -> int:
    """The revision of the next write of a document at `rev`: above every revision that was announced before, as far as
    the state knows them."""
    return max(rev, highest(observed), floor) + 1


def _floor(floor: int, stored: Conversation | WorkItem | None) -> int:
    """The floor; 0 once the stored revision has reached it."""
    return 0 if stored is not None and stored.rev >= floor else floor
