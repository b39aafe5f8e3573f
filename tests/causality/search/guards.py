"""The guards of the algorithm: each one's code, the code without it, and a world in which its absence shows.

`python -m tests.causality.search.guards NAME` searches that world with the imported code, up to the first violation.
Its exit status is 1 where it finds one. The tests run it on a copy of the code in which the guard is missing.
"""

import sys
from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from tests.causality.search.exhaustive import SearchWorld, look

_OBSERVED: Final = SearchWorld(name="observed")
_FEW: Final[dict[str, Any]] = {
    "conversation_kinds": ("assign u2", "un-assign"),
    "work_item_kinds": ("assign u2", "un-assign"),
}
_ASSIGNEE: Final = SearchWorld(name="the assignee alone", **_FEW)
_LOST: Final = SearchWorld(name="the assignee alone, an event lost", extras=(("losses", 1),), **_FEW)
_COMPLETED: Final = SearchWorld(
    name="two work-items one after the other",
    conversation_kinds=("open", "done"),
    work_item_kinds=("complete",),
    extras=(("touches", False),),
)

_DECIDES: Final = """decide_causal(
            evidence,
            context=self.context,
            now=planning.now,
            queue_now=planning.queue_now,
            rollout=planning.options.rollout,
        )
"""


class Guard(Struct, frozen=True, kw_only=True):
    """`text` occurs once in `file`; `without` takes its place where the guard is missing."""

    file: str
    text: str
    without: str
    pair: str = "assigned"
    writes: int = 2
    world: SearchWorld = _OBSERVED


GUARDS: Final[Mapping[str, Guard]] = {
    "the watermark": Guard(
        file="handlers/planning/planner.py",
        text="if waiting is None or waiting.since >= watermark:",
        without="if waiting is None:",
        world=_ASSIGNEE,
    ),
    "the noted revision of the work-item": Guard(
        file="sync/state/reconciliation.py",
        text="with_range(state.work_item_observed, 1, waiting.work_item_rev)",
        without="with_range(state.work_item_observed, 1, waiting.work_item_rev + 9)",
        writes=3,
        world=_LOST,
    ),
    "the highest revision without an event": Guard(
        file="sync/state/reconciliation.py",
        text="unannounced_rev = highest_gap(state.conversation_observed, noted)",
        without="unannounced_rev = noted",
        pair="ivr, conversation assigned",
        world=SearchWorld(name="nothing observed", known=False, **_FEW),
    ),
    "a silent write outweighs an assumption": Guard(
        file="sync/evidence.py",
        text="is_touched = name not in basis.view and basis.touched.get(name, 0) >= unobserved_from",
        without="is_touched = False",
        pair="ivr, conversation assigned",
        world=SearchWorld(name="nothing observed, silent", known=False, extras=(("silent", True),), **_FEW),
    ),
    "first sight of old documents alone": Guard(
        file="handlers/planning/pair_view.py",
        text="if not self.planning.options.is_long_before_deployment(other_written_at):",
        without="if False:",
        world=SearchWorld(name="nothing observed", known=False, **_FEW),
    ),
    "first sight field by field": Guard(
        file="handlers/planning/pair_view.py",
        text="fields = unknown_fields(self.before, item.id)",
        without='fields = frozenset(("assignee", "queue", "status", "ended", "paused"))',
        world=SearchWorld(name="services' clocks an hour behind", services_ahead_s=-3600.0, **_FEW),
    ),
    "the wait of B6": Guard(
        file="sync/policy_causal.py",
        text="and waits & _LAST_WORDS:",
        without="and False:",
        world=SearchWorld(
            name="take and close", conversation_kinds=("assign u2", "done"), work_item_kinds=("assign u2",)
        ),
    ),
    "A7": Guard(
        file="sync/policy_causal.py",
        text="reopening_side = evidence.reopening()",
        without="reopening_side = NewerSide.CONVERSATION",
        world=_COMPLETED,
    ),
    "the wait of A7": Guard(
        file="sync/evidence.py",
        text="return NewerSide.WORK_ITEM if is_decided else NewerSide.UNDECIDED",
        without="return NewerSide.WORK_ITEM",
        writes=4,
        world=_COMPLETED,
    ),
    "the tombstone": Guard(
        file="handlers/planning/drafts/pair_draft.py",
        text="was_stored = self.state.conversation_rev > 0 or self.state.deleted_rev is not None",
        without="was_stored = False",
        writes=1,
        world=SearchWorld(name="removed", extras=(("removals", 1),), **_FEW),
    ),
    "waiting for the work-item": Guard(
        file="sync/evidence.py",
        text='if not self._observed("work-item", name, unobserved_from):',
        without="if False:",
        world=_ASSIGNEE,
    ),
    "waiting for the conversation": Guard(
        file="sync/evidence.py",
        text='self._observed("conversation", name, known_rev + 1)',
        without="True",
        world=_ASSIGNEE,
    ),
    "wake-up by a late event": Guard(
        file="handlers/planning/pair_view.py",
        text="if state.version == 0 and not state.conversation_observed and state.work_item is None:",
        without="if True:",
        world=_ASSIGNEE,
    ),
    "wake-up by a sync's event": Guard(
        file="handlers/planning/pair_view.py",
        text="has_waiting_field=self.state.waiting is not None",
        without="has_waiting_field=False",
        world=SearchWorld(name="with another worker's sync", extras=(("foreign", 1),), **_FEW),
    ),
    "known from the event": Guard(
        file="handlers/events/readers.py",
        text='known_conversation_rev=_known_conversation_rev(envelope, snapshot["attributes"].get("resourceRev")),',
        without="known_conversation_rev=None,",
        world=_ASSIGNEE,
    ),
    "knownAt": Guard(
        file="sync/state/observation.py",
        text="if event.rev > known_at.get(name, 0):",
        without="if True:",
        writes=3,
        world=SearchWorld(name="the assignee alone, nothing else", extras=(("touches", False),), **_FEW),
    ),
    "the conditional write": Guard(
        file="worker/store/memory/store.py",
        text="if stored is None or after is None or stored.get(condition_field) != expected:",
        without="if stored is None or after is None:",
        world=SearchWorld(name="two workers", extras=(("meetings", 1),), **_FEW),
    ),
    "the second direction": Guard(
        file="handlers/planning/pair_view.py",
        text=f"        return {_DECIDES}",
        without=(
            "        from msgspec.structs import replace\n"
            "        from sync.decision import decided_pair\n"
            "        from sync.conversation import FIELDS\n"
            "        from sync.evidence import NewerSide\n"
            f"        both = {_DECIDES}"
            "        forward = event is not None and event.side == 'conversation'\n"
            "        dropped = {'conversation_fields' if forward else 'work_item_fields': None}\n"
            "        undecided = frozenset(n for n in FIELDS if evidence.newer_side(n) is NewerSide.UNDECIDED)\n"
            "        return decided_pair(\n"
            "            replace(both.decision, **dropped),\n"
            "            both.command if forward else None,\n"
            "            state=evidence.state,\n"
            "            conversation=self.conversation,\n"
            "            item=self.item,\n"
            "            now=planning.now,\n"
            "            queue_now=planning.queue_now,\n"
            "            fired=undecided if both.state.waiting else frozenset(),\n"
            "            undecided=undecided,\n"
            "        )\n"
        ),
        world=_ASSIGNEE,
    ),
    "table B before table A": Guard(
        file="sync/policy_causal.py",
        text="if not isinstance(command, Applied):",
        without="if True:",
        pair="ivr, conversation assigned",
    ),
    "known that stays where no rule of B carries": Guard(
        file="sync/state/reconciliation.py",
        text="    for name in agreed:\n        known[name]",
        without="    for name in FIELDS:\n        known[name]",
        pair="snoozed",
        writes=3,
    ),
    "one active work-item a conversation": Guard(
        file="handlers/planning/routing_writes.py",
        text="not is_routable(conversation) or draft.has_active_work_item():",
        without="not is_routable(conversation):",
        pair="no work-item, conversation assigned",
        world=SearchWorld(
            name="routing, the assignee alone, an event lost", routes=True, extras=(("losses", 1),), **_FEW
        ),
    ),
}


def main(name: str) -> int:
    """Search; the exit status."""
    guard = GUARDS[name]
    found = look(guard.world, guard.pair, guard.writes, to_the_first=True)
    for steps, said in found.examples:
        sys.stdout.write("\n".join((*steps, f"→ {said}")) + "\n")
    return int(bool(found.bad))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
