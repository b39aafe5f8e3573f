"""Stories of a worker that creates work-items itself: KDEV-28235, with and without queues and queue rules.

The customer of a closed conversation writes twice in quick succession while its agent is away. The predecessor left the
un-assignment to a later sync, which the second update dropped: the conversation stayed with the agent.
"""

from typing import Final

from commands.session import Session
from handlers.options import Options
from tests.causality.stories.story import (
    ANNA,
    BEN,
    Story,
    StoryWrite,
    conversation,
    message,
    new_conversation,
    work_item,
)
from worker.store.memory.queue_rules import MemoryQueueRules

CREATES: Final = Options(create_work_items=True, unassign_on_unavailable=True)
CREATES_AND_QUEUES: Final = Options(create_work_items=True, unassign_on_unavailable=True, queue_rules=True)

FIRST_MADE: Final = f"{1:024x}"
"""The id of the conversation's first work-item: the first id that the worker takes for the plan."""
SECOND_MADE: Final = f"{3:024x}"
"""The id of the next one: the event of the un-assignment takes two ids before it."""

_BEN_ALONE: Final = (Session(id=f"s-{BEN}", user=BEN, capacity=3),)
_MAIL_RULE: Final = MemoryQueueRules(
    rules=[
        {
            "_id": "r-mail",
            "org": "org",
            "position": 1,
            "enabled": True,
            "queue": "mail",
            "match": "all",
            "criteria": [{"attribute": "preview", "operator": "exists", "value": True}],
        }
    ]
)
_REOPENED: Final = (
    conversation("the customer answers: re-opened", status="open"),
    message("the customer adds a sentence"),
)


def _closed(queue: str | None) -> tuple[StoryWrite, ...]:
    return (
        new_conversation("a customer writes", **({} if queue is None else {"queue": queue})),
        work_item("Anna takes it", {"assignedTo": ANNA}, document=FIRST_MADE),
        work_item("Anna completes it", {"status": "completed"}, document=FIRST_MADE),
    )


REOPENED_IVR: Final = Story(
    name="re-opened twice in a row, the agent away, no queue",
    sessions=_BEN_ALONE,
    before=_closed(None),
    writes=_REOPENED,
)
REOPENED_QUEUED: Final = Story(
    name="re-opened twice in a row, the agent away, in a queue",
    sessions=_BEN_ALONE,
    before=_closed("mail"),
    writes=(*_REOPENED, work_item("Ben takes it", {"accepted": {"by": BEN}}, document=SECOND_MADE)),
)
REOPENED_BY_RULE: Final = Story(
    name="re-opened twice in a row, the agent away, queued by a rule",
    sessions=_BEN_ALONE,
    queue_rules=_MAIL_RULE,
    before=_closed(None),
    writes=_REOPENED,
)
REOPENED_AND_MOVED: Final = Story(
    name="re-opened and moved in a row, the agent away",
    sessions=_BEN_ALONE,
    before=_closed("mail"),
    writes=(_REOPENED[0], conversation("a workflow moves it", queue="support"), _REOPENED[1]),
)
