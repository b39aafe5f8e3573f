"""The step after the pair is reconciled: routing's outside writes, if nothing waits, and a second decision on the pair.

The second decision is the one that the announcements of these writes will cause when they come back through the queue.
Made here, it carries the queue of a queue rule to the conversation in the same transaction, and what comes back is a
duplicate.
"""

from collections.abc import Callable

from commands.work_item import WorkItem
from handlers.options import PlanningContext
from handlers.planning.announcements import AnnouncementCause
from handlers.planning.drafts.pair_draft import PairDraft
from handlers.planning.routing_writes import RoutedPair, RoutingWriter
from sync.audit import values_before
from sync.decision import PairDecision
from sync.state.sync_state import SyncState

Decide = Callable[[], tuple[PairDecision, WorkItem | None]]
"""Decides the draft's pair once more; returns the decision and the work-item that it was made about."""


def route_pair(
    draft: PairDraft, cause: AnnouncementCause, *, state: SyncState, planning: PlanningContext, decide_again: Decide
) -> RoutedPair | None:
    """Plan the outside writes of routing; None if there are none. `state`: the sync state before the pair was
    reconciled. Raises UnreadableDocument, UnreadableRecord."""
    writer = RoutingWriter(draft, cause, planning)
    if planning.options.create_work_items:
        writer.create(state)
    if planning.options.queue_rules:
        writer.queue()
    routed = writer.routed
    if not routed.reasons:
        return None
    decided, item = decide_again()
    conversation, fields = draft.conversation(), decided.decision.conversation_fields
    if fields is not None and conversation is not None and item is not None:
        before = values_before(conversation, item, conversation_fields=fields, work_item_fields=None) or {}
        routed.conversation_before = {**before["conversation"], **(routed.conversation_before or {})}
    routed.decided = decided
    routed.announcements += draft.apply(decided, item, cause, planning)
    return routed
