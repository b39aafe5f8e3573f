"""The ten stories of a working day, as data: each write says what it knew, as its service would."""

from typing import Final

from commands.session import Session
from tests.causality.stories.story import (
    ANNA,
    BEN,
    SECOND_ITEM,
    Story,
    StoryWrite,
    conversation,
    message,
    new_conversation,
    new_work_item,
    work_item,
)

SESSIONS: Final = tuple(Session(id=f"s-{user}", user=user, capacity=3) for user in (ANNA, BEN))

_QUEUED: Final[tuple[StoryWrite, ...]] = (
    new_conversation("a customer opens a chat"),
    new_work_item("its work-item is made"),
    work_item("queue rules put it into the chat queue", {"queue": "chat"}),
)
_ASSIGNED: Final = (
    *_QUEUED,
    work_item("the router offers it to Anna", {"routed": {"to": ANNA}}),
    work_item("Anna accepts", {"accepted": {"by": ANNA}}),
)

STORIES: Final = (
    Story(
        name="inbound chat",
        sessions=SESSIONS,
        writes=(
            new_conversation("a customer opens a chat"),
            new_work_item("its work-item is made", knew=1),
            work_item("queue rules put it into the chat queue", {"queue": "chat"}, knew=1),
            message("the customer writes again"),
            work_item("the router offers it to Anna", {"routed": {"to": ANNA}}),
            work_item("Anna accepts", {"accepted": {"by": ANNA}}),
        ),
    ),
    Story(
        name="outbound voice, assigned by a workflow",
        sessions=SESSIONS,
        writes=(
            new_conversation("Anna calls a customer"),
            new_work_item("its work-item is made", knew=1),
            conversation("a workflow assigns Anna", assignedUsers=[ANNA]),
            message("Anna notes a number"),
            conversation("the call is over", ended=True),
            work_item("Anna completes it", {"status": "completed"}, holder=ANNA),
        ),
    ),
    Story(
        name="e-mail re-opened, the agent away",
        sessions=(SESSIONS[1],),
        before=(
            new_conversation("a customer writes an e-mail", queue="mail"),
            new_work_item("its work-item is made"),
            work_item("Anna takes it", {"queue": "mail", "assignedTo": ANNA}),
            work_item("Anna completes it", {"status": "completed"}),
        ),
        writes=(
            conversation("the customer answers: re-opened", status="open"),
            new_work_item("a new work-item is made", document=SECOND_ITEM, knew=1),
            conversation("a workflow un-assigns Anna, who is away", assignedUsers=[]),
            work_item("queue rules put it into the mail queue", {"queue": "mail"}, document=SECOND_ITEM),
            work_item("Ben takes it", {"accepted": {"by": BEN}}, document=SECOND_ITEM),
        ),
    ),
    Story(
        name="transfer while assigned",
        sessions=SESSIONS,
        before=_ASSIGNED,
        writes=(
            conversation("Anna transfers it to the support queue", queue="support", assignedUsers=[]),
            work_item("the router offers it to Ben", {"routed": {"to": BEN}}),
            message("the customer writes"),
            work_item("Ben accepts", {"accepted": {"by": BEN}}),
        ),
    ),
    Story(
        name="snooze and queue change in one update",
        sessions=SESSIONS,
        before=_ASSIGNED,
        writes=(
            conversation("Anna snoozes it and moves it to support", status="snoozed", queue="support"),
            message("Anna adds a note"),
            conversation("the customer writes: open again", status="open"),
            work_item("Anna moves it to sales", {"queue": "sales"}),
        ),
    ),
    Story(
        name="end and come back",
        sessions=SESSIONS,
        before=_ASSIGNED,
        writes=(
            conversation("the customer ends the chat", ended=True),
            message("the customer writes"),
            conversation("the chat is re-opened", ended=False),
            conversation("the customer ends it for good", ended=True),
            work_item("Anna completes it", {"status": "completed"}, holder=ANNA),
        ),
    ),
    Story(
        name="delete",
        sessions=SESSIONS,
        before=_QUEUED,
        writes=(
            work_item("Anna takes it", {"accepted": {"by": ANNA}}),
            message("Anna replies"),
            conversation("an administrator deletes it", deleted=True),
            work_item("Anna wraps it up", {"status": "wrap-up"}, knew=2, holder=ANNA),
        ),
    ),
    Story(
        name="accept by the router",
        sessions=SESSIONS,
        before=_QUEUED,
        writes=(
            work_item("the router offers it to Anna", {"routed": {"to": ANNA}}),
            message("the customer writes"),
            work_item("Anna accepts", {"accepted": {"by": ANNA}}, knew=1),
            message("Anna replies"),
        ),
    ),
    Story(
        name="an offer times out",
        sessions=SESSIONS,
        before=_QUEUED,
        writes=(
            work_item("the router offers it to Anna", {"routed": {"to": ANNA}}),
            message("the customer writes"),
            work_item("the offer times out", {"routed": {"timedOut": ANNA}}),
            work_item("the router offers it to Ben", {"routed": {"to": BEN}}),
            work_item("Ben accepts", {"accepted": {"by": BEN}}),
        ),
    ),
    Story(
        name="take, reply, close",
        sessions=SESSIONS,
        before=_QUEUED,
        writes=(
            message("the customer writes"),
            conversation("Anna takes it", assignedUsers=[ANNA]),
            message("Anna replies"),
            conversation("Anna closes it", status="done"),
        ),
    ),
)

TWO_WAY_STORIES: Final = (
    Story(
        name="completed while the customer writes",
        sessions=SESSIONS,
        before=_ASSIGNED,
        ends=2,
        writes=(
            work_item("Anna completes it", {"status": "completed"}),
            message("the customer writes"),
            new_work_item("the message makes a new work-item", document=SECOND_ITEM),
        ),
    ),
    Story(
        name="accept, reply, close",
        sessions=SESSIONS,
        before=_QUEUED,
        writes=(
            message("the customer writes"),
            work_item("Anna accepts", {"accepted": {"by": ANNA}}),
            message("Anna replies"),
            conversation("Anna closes it", status="done"),
        ),
    ),
)
"""Stories that end in two ways (docs/proof.md, *Stories of a day*)."""
