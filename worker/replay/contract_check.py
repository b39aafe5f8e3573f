"""Who wrote what outside, as a replay goes on, and whether the contract of sync-rules.md holds at its end."""

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct, field, to_builtins
from msgspec.structs import replace

from handlers.documents.nouns import conversation_of, work_item_of
from sync.contract import FieldHistory, LastWrite, sync_writes_max, violations, work_item_values
from sync.conversation import Field
from sync.state import shared_values
from worker.replay.pair_archive import PairState
from worker.replay.reenactment import ReenactedWrite

NO_LOOPS: Final = 3
"""The contract's third point."""

Writes = Mapping[Field, LastWrite]


class OutsideWrites(Struct, frozen=True, kw_only=True):
    """The outside writes so far: the last one of every field, of each work-item by itself, and how many there were."""

    count: int = 0
    conversation: Writes = field(default_factory=dict)
    work_items: Mapping[str, Writes] = field(default_factory=dict)

    def with_write(self, reenacted: ReenactedWrite) -> "OutsideWrites":
        """One more."""
        event, document = reenacted.event, reenacted.document
        counted = replace(self, count=self.count + 1)
        if event.side == "conversation":
            history = self._history(None).after_conversation(
                event.rev, event.fields, shared_values(conversation_of(document))
            )
            return replace(counted, conversation=history.conversation)
        history = self._history(event.document_id).after_work_item(
            event.rev, event.fields, work_item_values(work_item_of(document)), knew=event.knew
        )
        work_items = {**self.work_items, event.document_id: history.work_item}
        return replace(counted, conversation=history.conversation, work_items=work_items)

    def broken(self, pair_state: PairState, sync_writes: int) -> list[Mapping[str, Any]]:
        """What of the contract does not hold at the end, in the shape of interfaces.md; point 3 has no field."""
        conversation, item = pair_state.conversation, pair_state.work_item
        found = violations(
            self._history(None if item is None else item["_id"]),
            None if conversation is None else conversation_of(conversation),
            None if item is None else work_item_of(item),
        )
        told: list[Mapping[str, Any]] = [violation.as_wire() for violation in found]
        most = sync_writes_max(self.count)
        if sync_writes > most:
            told.append({"point": NO_LOOPS, "field": None, "expected": most, "found": sync_writes})
        return told

    def _history(self, work_item: str | None) -> FieldHistory:
        return FieldHistory(conversation=self.conversation, work_item=self.work_items.get(work_item or "", {}))

    def as_json(self) -> dict[str, Any]:
        """For the shelf."""
        kept: dict[str, Any] = to_builtins(self)
        return kept

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> "OutsideWrites":
        """From the shelf."""
        items = {key: _writes(writes) for key, writes in kept["work_items"].items()}
        return cls(count=kept["count"], conversation=_writes(kept["conversation"]), work_items=items)


def _writes(kept: Mapping[Field, Any]) -> Writes:
    return {name: LastWrite(**{**wrote, "outdone": tuple(wrote["outdone"])}) for name, wrote in kept.items()}
