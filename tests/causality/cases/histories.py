"""The smallest history of each case (docs/proof.md, *Seventeen cases*) that is one: its writes in their real order."""

from typing import Final

from commands.session import Session
from tests.causality.stories.story import (
    ANNA,
    BEN,
    SECOND_ITEM,
    Knew,
    Story,
    StoryWrite,
    conversation,
    message,
    new_conversation,
    new_work_item,
    work_item,
)

SESSIONS: Final = tuple(Session(id=f"s-{user}", user=user, capacity=3) for user in (ANNA, BEN))

QUEUED: Final[tuple[StoryWrite, ...]] = (
    new_conversation("a customer opens a chat"),
    new_work_item("its work-item is made"),
    work_item("queue rules put it into the chat queue", {"queue": "chat"}),
)
ASSIGNED: Final = (*QUEUED, work_item("Anna accepts", {"accepted": {"by": ANNA}}))

ASSIGNED_THEN_ACCEPTED: Final = Story(
    name="1: assigned to Anna, accepted by Ben five seconds later, a message after three minutes",
    before=QUEUED,
    writes=(
        conversation("a workflow assigns Anna", assignedUsers=[ANNA]),
        work_item("Ben accepts", {"accepted": {"by": BEN}}, after_s=5),
        message("the customer writes", after_s=180),
    ),
)
MADE_IN_THE_OUTAGE: Final = Story(
    name="2: the pair is made, assigned and touched while no event is delivered",
    writes=(
        new_conversation("a customer opens a chat"),
        new_work_item("its work-item is made", after_s=1),
        work_item("queue rules put it into the chat queue", {"queue": "chat"}, after_s=1),
        conversation("a workflow assigns Anna", assignedUsers=[ANNA], after_s=1),
        work_item("its priority changes", {"priority": 2}, knew=Knew.UNSAID, after_s=240),
    ),
)


def accepted_by_a_slow_clock(behind_s: float) -> Story:
    """5: the first case, in a work-item service whose clock is behind."""
    return Story(
        name=f"5: accepted by Ben, the clock {behind_s:g} s behind",
        before=QUEUED,
        writes=(
            conversation("a workflow assigns Anna", assignedUsers=[ANNA]),
            work_item("Ben accepts", {"accepted": {"by": BEN}}, after_s=1, clock_error_s=-behind_s),
            message("the customer writes", after_s=1),
        ),
    )


TAKE_REPLY_CLOSE: Final = Story(
    name="7: Anna takes it, replies and closes it",
    before=QUEUED,
    writes=(
        conversation("Anna takes it", assignedUsers=[ANNA]),
        message("Anna replies"),
        conversation("Anna closes it", status="done"),
    ),
)
MESSAGE_TAKE_REPLY_CLOSE: Final = Story(
    name="7: the same after a message",
    before=QUEUED,
    writes=(message("the customer writes"), *TAKE_REPLY_CLOSE.writes),
)
COMPLETED_WHILE_THE_CUSTOMER_WRITES: Final = Story(
    name="8: Anna completes the work-item, the customer's message makes another one",
    before=ASSIGNED,
    writes=(
        work_item("Anna completes it", {"status": "completed"}),
        conversation("the customer writes: open, if it was done", status="open", preview="the customer writes"),
        new_work_item("the message makes a new work-item", document=SECOND_ITEM, knew=2),
        work_item("queue rules put it into the chat queue", {"queue": "chat"}, document=SECOND_ITEM, knew=2),
    ),
)
IVR_WITHOUT_QUEUE: Final = Story(
    name="9: a work-item in ivr beside a conversation in a queue",
    writes=(new_conversation("Anna calls a customer", queue="voice"), new_work_item("its work-item is made")),
)
IVR_THEN_QUEUED: Final = Story(
    name="9: the same, then queue rules",
    writes=(
        *IVR_WITHOUT_QUEUE.writes,
        work_item("queue rules put it into the sales queue", {"queue": "sales"}, after_s=1),
    ),
)
ENDED_WHILE_QUEUED: Final = Story(
    name="10: the customer ends the chat while it is queued",
    before=QUEUED,
    writes=(conversation("the customer ends the chat", ended=True),),
)
ENDED_THEN_TAKEN: Final = Story(
    name="10: the same, then somebody takes it",
    before=QUEUED,
    sessions=SESSIONS,
    writes=(*ENDED_WHILE_QUEUED.writes, work_item("Anna accepts", {"accepted": {"by": ANNA}})),
)
ASSIGNED_WITHOUT_CHANGES: Final = Story(
    name="11: an update without `changes` assigns Anna",
    before=QUEUED,
    writes=(conversation("an import assigns Anna", assignedUsers=[ANNA], without_changes=True),),
)
ASSIGNED_WITHOUT_CHANGES_THEN_WRITTEN: Final = Story(
    name="11: the same between two messages",
    before=QUEUED,
    writes=(
        message("the customer writes"),
        *ASSIGNED_WITHOUT_CHANGES.writes,
        message("the customer writes again"),
    ),
)
QUEUED_BEFORE_THE_START: Final = (new_conversation("a customer opens a chat", queue="chat"), *QUEUED[1:])
"""Both sides agree, although this worker has seen none of it."""
ACCEPTED_UNSAID: Final = work_item("Anna accepts", {"accepted": {"by": ANNA}}, knew=Knew.UNSAID)
