"""The guards of the algorithm: each one's code, the code without it, and a world in which its absence shows.

`python -m tests.causality.guards NAME` searches that world with the imported code, up to the first violation; exit
status 1 where it finds one. The tests run it on a copy of the code in which the guard is missing.
"""

import sys
from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from tests.causality.exhaustive import World, look

_OBSERVED: Final = World(name="observed")
_ASSIGNEE: Final = World(
    name="the assignee alone",
    conversation_kinds=("assign u2", "un-assign"),
    work_item_kinds=("assign u2", "un-assign"),
)
_FOREIGN: Final = World(name="with a sync of the predecessor's", extras=(("foreign", 1),))

_DECIDES: Final = "decide_causal(evidence, context=self.context, now=now, rollout=rollout)"


class Guard(Struct, frozen=True, kw_only=True):
    """`text` occurs once in `file`; `without` takes its place where the guard is missing."""

    file: str
    text: str
    without: str
    pair: str = "assigned"
    writes: int = 2
    world: World = _OBSERVED


GUARDS: Final[Mapping[str, Guard]] = {
    "waiting for the work-item": Guard(
        file="sync/evidence.py",
        text="if not self.old.work_item and not covers(",
        without="if False and not covers(",
        world=_ASSIGNEE,
    ),
    "waiting for the conversation": Guard(
        file="sync/evidence.py",
        text="if self.old.conversation or covers(basis.conversation_observed, known_rev + 1, self.conversation.rev):",
        without="if True:",
    ),
    "wake-up by a late event": Guard(
        file="handlers/planning/pair_view.py",
        text="    if state.version == 0:\n        return False\n",
        without="    return False\n",
    ),
    "wake-up by a sync's event": Guard(
        file="handlers/planning/pair_view.py",
        text="has_waiting_field=self.state.waiting_since is not None",
        without="has_waiting_field=False",
        pair="snoozed",
        world=_FOREIGN,
    ),
    "known from the event": Guard(
        file="handlers/events/readers.py",
        text='known_conversation_rev=_known_conversation_rev(envelope, snapshot["attributes"].get("resourceRev")),',
        without="known_conversation_rev=None,",
        world=_ASSIGNEE,
    ),
    "knownAt": Guard(
        file="sync/state.py",
        text="if event.rev > known_at.get(name, 0):",
        without="if True:",
        writes=3,
        world=_ASSIGNEE,
    ),
    "the conditional write": Guard(
        file="worker/store/memory.py",
        text="if stored is None or after is None or stored.get(condition_field) != expected:",
        without="if stored is None or after is None:",
        world=World(name="two workers", extras=(("meetings", 1),)),
    ),
    "the second direction": Guard(
        file="handlers/planning/pair_view.py",
        text=f"        return {_DECIDES}\n",
        without=(
            "        from msgspec.structs import replace\n"
            "        from sync.decision import decided_pair\n"
            "        from sync.conversation import FIELDS\n"
            "        from sync.evidence import NewerSide\n"
            f"        both = {_DECIDES}\n"
            "        forward = trigger is not None and trigger.side == 'conversation'\n"
            "        dropped = {'conversation_fields' if forward else 'work_item_fields': None}\n"
            "        undecided = frozenset(n for n in FIELDS if evidence.newer_side(n) is NewerSide.UNDECIDED)\n"
            "        return decided_pair(\n"
            "            replace(both.decision, **dropped),\n"
            "            both.command if forward else None,\n"
            "            state=evidence.state,\n"
            "            conversation=self.conversation,\n"
            "            item=self.item,\n"
            "            now=now,\n"
            "            fired=undecided if both.state.waiting_since else frozenset(),\n"
            "            undecided=undecided,\n"
            "        )\n"
        ),
    ),
    "table B before table A": Guard(
        file="sync/policy_causal.py",
        text="after = command.after if isinstance(command, Applied) else item",
        without="after = item",
        pair="ivr, conversation assigned",
    ),
    "known that stays where no rule of B carries": Guard(
        file="sync/state.py",
        text="    for name in agreed:\n        known[name]",
        without="    for name in FIELDS:\n        known[name]",
        pair="snoozed",
        writes=3,
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
