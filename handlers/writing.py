"""What a decision writes: the two documents in the draft, and the events that announce it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from commands.engine import Applied
from commands.reason import Reason
from commands.record import record
from commands.work_item import WorkItem
from handlers.draft import Draft
from handlers.outbound import Cause, announce
from handlers.ports import Announcement, Ids


@record
class Writing:
    """One decision's writes, each with its announcement in the draft's outbox."""

    draft: Draft
    cause: Cause
    now: datetime
    ids: Ids

    def conversation(self, fields: Mapping[str, Any], reasons: tuple[Reason, ...]) -> Announcement:
        """Table A's write."""
        before, after = self.draft.write_conversation(fields, self.now)
        announcement = announce(
            "conversation", before=before, after=after, reasons=reasons, cause=self.cause, now=self.now, ids=self.ids
        )
        self.draft.announce(announcement)
        return announcement

    def work_item(self, item: WorkItem, applied: Applied, reasons: tuple[Reason, ...]) -> Announcement:
        """Table B's update, as the commands carried it out."""
        before, after = self.draft.write_work_item(item, applied)
        announcement = announce(
            "work-item",
            before=before,
            after=after,
            reasons=(*reasons, applied.reason),
            cause=self.cause,
            now=self.now,
            ids=self.ids,
        )
        self.draft.announce(announcement)
        return announcement
