"""The outside writes of a pair during a replay, and the contract's check (docs/rules.md) of the pair at its end."""

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct, field
from msgspec.structs import replace

from handlers.documents.document_mapping import conversation_of, work_item_of
from handlers.ports import Pair
from sync.contract import FieldHistory, LastWrite, sync_writes_max, violations
from sync.conversation import Field
from sync.state.agreement import shared_values, work_item_values
from worker.replay.pairs.pair_archive import work_item_in
from worker.replay.reenactment import ReenactedWrite

NO_LOOPS: Final = 3
"""The number of the contract's third point."""

Writes = Mapping[Field, LastWrite]


class OutsideWrites(Struct, frozen=True, kw_only=True):
    """The number of outside writes, and the last one of every field, of the conversation and of each work-item."""

    count: int = 0
    conversation: Writes = field(default_factory=dict)
    work_items: Mapping[str, Writes] = field(default_factory=dict)

    def with_write(self, reenacted: ReenactedWrite) -> "OutsideWrites":
        """The writes after one more."""
        event, document = reenacted.event, reenacted.document
        counted = replace(self, count=self.count + 1)
        if event.side == "conversation":
            history = self._history(None).after_conversation(
                event.rev, event.changed_fields or (), shared_values(conversation_of(document))
            )
            return replace(counted, conversation=history.conversation)
        history = self._history(event.document_id).after_work_item(
            event.rev,
            event.changed_fields or (),
            work_item_values(work_item_of(document)),
            known_conversation_rev=event.known_conversation_rev,
        )
        work_items = {**self.work_items, event.document_id: history.work_item}
        return replace(counted, conversation=history.conversation, work_items=work_items)

    def violations(self, pair: Pair, sync_writes: int) -> list[Mapping[str, Any]]:
        """Each violation of the contract as `{point, field, expected, found}`; `sync_writes` are our own writes.

        Point 3 concerns no field, so its `field` is null.
        """
        conversation, item = pair.conversation, work_item_in(pair)
        found: list[Mapping[str, Any]] = [
            violation.as_wire()
            for violation in violations(
                self._history(None if item is None else item["_id"]),
                None if conversation is None else conversation_of(conversation),
                None if item is None else work_item_of(item),
            )
        ]
        most = sync_writes_max(self.count)
        if sync_writes > most:
            found.append({"point": NO_LOOPS, "field": None, "expected": most, "found": sync_writes})
        return found

    def _history(self, work_item: str | None) -> FieldHistory:
        return FieldHistory(conversation=self.conversation, work_item=self.work_items.get(work_item or "", {}))
