"""The space of the exhaustive comparisons: every work-item, every update, and what an oracle expects of each."""

from collections.abc import Iterator
from functools import cache
from itertools import product
from typing import Any, Final, Protocol

from msgspec import Struct

from commands.context import CommandContext
from commands.engines.rollout import DEFAULT_ROLLOUT, EngineRollout
from commands.work_item import WorkItem
from tests.commands.items import (
    CONTEXT,
    NOW_TEXT,
    QUEUES,
    SESSIONS,
    T0_TEXT,
    Json,
    end_of,
    item_json,
    item_of,
    parsed,
    session_of,
)
from tests.oracle.sessions_oracle import sessions_with

ACTIVE: Final = ("ivr", "queued", "routed", "assigned", "wrap-up")
ABSENT: Final = "absent"
MISMATCHES_SHOWN: Final = 6
CREATED_TEXT: Final = "2022-03-02T18:30:00.000Z"
T1_TEXT: Final = "2022-03-02T19:10:00.500Z"


def work_items() -> Iterator[Json]:
    """Every status × queue × assignee × session × paused, inconsistent ones too: the store may hold them."""
    for status, queue, user, session, paused in product(
        ACTIVE, (None, "q1"), (None, "u1"), (None, "s1"), (False, True)
    ):
        offered = status == "routed"
        queued_before = queue is not None
        yield item_json(
            status=status,
            assignedTo=user,
            acceptedBy=user,
            queue=queue,
            rule="r1" if queue else None,
            routedTo="u1" if offered else None,
            session=session,
            team="t1" if user else None,
            paused=paused,
            itemSize=2 if queue else 1,
            priority=3 if queue else 9,
            queuedCount=1 if queued_before else 0,
            firstEnterQueueAt=T0_TEXT if queued_before else None,
            enteredQueueAt=T0_TEXT if queued_before else None,
            **timings(status, queued_before=queued_before),
        )


def timings(status: str, *, queued_before: bool) -> Json:
    """The timings of an item that came to its status at T1, after it had been handled and resumed before."""
    handled = status in ("assigned", "wrap-up")
    return {
        "createdAt": CREATED_TEXT,
        "firstQueueTime": 1000 if queued_before else None,
        "queueTime": 2000 if queued_before and handled else None,
        "routedAt": T1_TEXT if status == "routed" else None,
        "acceptedAt": T0_TEXT if handled and queued_before else None,
        "firstAssignTime": 3000 if handled else None,
        "ivrEnteredAt": T1_TEXT if status == "ivr" else None,
        "wrapUpEnteredAt": T1_TEXT if status == "wrap-up" else None,
        "wrapUpTime": 4000 if handled and queued_before else None,
        "handleTime": 5000 if handled and queued_before else None,
        "resumedAt": T1_TEXT if handled and queued_before else None,
    }


def combinations(queues: tuple[Any, ...], users: tuple[Any, ...], flags: tuple[bool, ...]) -> list[Json]:
    """Every update of queue × assignedTo × status × paused with these values. Each field may be absent, but not all."""
    updates = []
    for values in product((ABSENT, *queues), (ABSENT, *users), (ABSENT, "wrap-up", "completed"), (ABSENT, *flags)):
        named = zip(("queue", "assignedTo", "status", "paused"), values, strict=True)
        update: Json = {name: value for name, value in named if value != ABSENT}
        if update:
            updates.append(update)
    return updates


EIGHTY: Final = combinations((None, {"id": "q2"}), (None, "u2"), (True, False))
"""The 80 combinations of docs/commands.md: null or another queue, null or another user."""

MORE: Final = combinations(
    (None, {"id": "q1"}, {"id": "q2", "rule": "r2"}, {"id": "q3"}, {"id": "unknown"}), (None, "u1", "u2", "u3"), ()
)
"""The same queue, a queue with a rule, a queue without a size, an unknown queue; the same user, one without a session.

They lack `paused`, which EIGHTY combines with every queue and assignee."""

ALONE: Final[list[Json]] = [
    {"queue": "q2"},
    {"queue": {"key": "support"}},
    {"queue": {"key": "no such key"}},
    {"queue": {"id": None}},
    {"queue": {"id": "q1", "rule": "r9"}},
    {"queue": {"id": "q2", "enteredAt": "2022-03-02T18:00:00.000Z"}},
    {"queue": {"id": "q1", "enteredAt": "2022-03-02T18:00:00.000Z"}},
    {"queue": {"id": "q2", "enteredAt": NOW_TEXT}},
    {"queue": {"id": "q2", "enteredAt": "2022-03-02T19:13:26.159Z"}},
    {"queue": {"id": "q2", "enteredAt": "2022-03-02T18:00:00.000Z"}, "assignedTo": "u2"},
    {"queue": {"id": "q2", "enteredAt": "2022-03-02T18:00:00.000Z"}, "assignedTo": None},
    *({"routed": {kind: user}} for kind, user in product(("to", "rejectedBy", "timedOut"), ("u1", "u2", "u3"))),
    {"routed": {"to": "u2", "workSession": "s2"}},
    {"routed": {"to": "u2", "workSession": "s1"}},
    *({"accepted": {"by": user}} for user in ("u1", "u2", "u3")),
    {"accepted": {"by": "u2", "workSession": "s2"}},
    {"accepted": {"by": "u2", "workSession": "s9"}},
    *({"accepted": {"by": user}, "paused": paused} for user, paused in product(("u1", "u2"), (True, False))),
    *({"paused": True, "rev": rev} for rev in (7, 6, 8)),
    *({"routed": {"to": "u1"}, "rev": rev} for rev in (7, 6, 8)),
]
"""The updates that go with no other field, and every form of `queue`."""

FUTURE: Final = [update for update in ALONE if "19:13:26.159" in str(update)]
"""The updates of ALONE that name a time after NOW. The composed engine refuses them; the funnel takes them."""

RESUMED: Final[list[Json]] = [
    {"resume": True},
    *({"resume": True, **beside} for beside in combinations((None, {"id": "q2"}), (None, "u1", "u2"), (True,))),
]
"""Rule B10's `resume`, alone and with the fields that the other rules of table B may add to the same update."""

TAKES_A_SESSION: Final[list[Json]] = [
    *({"assignedTo": user, **beside} for user in ("u1", "u2")
      for beside in ({}, {"paused": True}, {"queue": "q2"}, {"status": "wrap-up"}, {"status": "completed"})),
    *({"routed": {"to": user, **named}} for user in ("u1", "u2") for named in
      ({}, {"workSession": "u1-a"}, {"workSession": "u1-b"}, {"workSession": "u2-b"})),
    *({"accepted": {"by": user, **named}} for user in ("u1", "u2") for named in
      ({}, {"workSession": "u1-a"}, {"workSession": "u1-b"}, {"workSession": "u2-b"})),
    *({"resume": True, **beside} for beside in
      ({}, {"assignedTo": "u1"}, {"assignedTo": "u2"}, {"assignedTo": None}, {"status": "wrap-up"})),
]  # fmt: skip
"""The updates that may put the work-item on a session."""

SESSION_KINDS: Final[dict[str, Json]] = {
    "free": {"capacity": 9},
    "busy": {"workItems": [{"id": "other", "itemSize": 2.5}, {"id": "odd", "itemSize": -3}]},
    "full": {"workItems": [{"id": "other", "itemSize": 6}]},
    "locked": {"capacity": 20, "pendingItem": "another"},
    "ended": {"capacity": 20, "active": False},
}
"""What a session may be when an update looks for one."""


def session_worlds() -> Iterator[tuple[Json, ...]]:
    """Each of both users has no session, one, or two; the work-item's own is `u1-a`."""
    none = [()]
    one = [((name, kind),) for kind in SESSION_KINDS for name in ("a", "b")]
    two = [(("a", first), ("b", second)) for first, second in product(SESSION_KINDS, SESSION_KINDS)]
    for named in [*none, *one, *two]:
        yield tuple(
            {
                "id": f"{user}-{name}", "user": user, "active": True, "capacity": 6, "workItems": [],
                "pausedWorkItems": [], "pendingItem": None, **SESSION_KINDS[kind],
            }
            for user in ("u1", "u2")
            for name, kind in named
        )  # fmt: skip


class Start(Struct, frozen=True, kw_only=True):
    """A work-item, and the sessions with the item at its place."""

    fields: Json
    item: WorkItem
    context: CommandContext
    sessions: list[Json]


def start_of(fields: Json, sessions: tuple[Json, ...]) -> Start:
    placed = sessions_with(fields, list(sessions))
    return Start(
        fields=fields,
        item=item_of(fields),
        context=CommandContext(queues=CONTEXT.queues, sessions={one["id"]: session_of(one) for one in placed}),
        sessions=placed,
    )


@cache
def starts() -> tuple[Start, ...]:
    """One start for every work-item."""
    return tuple(start_of(fields, SESSIONS) for fields in work_items())


@cache
def starts_in_session_worlds() -> tuple[Start, ...]:
    """The items that have a queue and no pause, in every world of sessions."""
    items = [item for item in work_items() if item["queue"] and not item["paused"]]
    return tuple(
        start_of({**item, "session": item["session"] and "u1-a"}, sessions)
        for sessions in session_worlds()
        for item in items
    )


class Oracle(Protocol):
    """An independent implementation of docs/commands.md: the refusal or the work-item after, and the command."""

    def carry_out(self, before: Json, update: Json, *, queues: list[Json], sessions: list[Json], now: str) -> Json: ...


def check(
    updates: list[Json],
    oracle: Oracle,
    rollout: EngineRollout = DEFAULT_ROLLOUT,
    *,
    among: tuple[Start, ...] | None = None,
) -> int:
    """Compare each update on each start with the oracle. Returns their number; fails with the first differences."""
    asked = 0
    wrong: list[str] = []
    queues = list(QUEUES)
    for update in updates:
        read = parsed(update)
        for start in starts() if among is None else among:
            asked += 1
            sessions = start.sessions
            expected = oracle.carry_out(start.fields, update, queues=queues, sessions=sessions, now=NOW_TEXT)
            found = end_of(start.item, read, start.context, rollout=rollout)
            if expected.get("refusal") or found.refusal:
                agreed = expected.get("refusal") == found.refusal
                differing: Json = {} if agreed else {"refusal": (expected, found.refusal)}
            else:
                after = expected["workItem"]
                differing = {name: (after[name], found.item[name]) for name in after if after[name] != found.item[name]}
                sessions_after = sessions_with(after, sessions)
                if sessions_after != found.sessions:
                    differing["sessions"] = (places(sessions_after), places(found.sessions))
            command = {"name": found.name, "dropped": list(found.dropped), "ignored": list(found.ignored)}
            for name, fields in command.items():
                if expected.get(name, fields) != fields:
                    differing[name] = (expected[name], fields)
            if differing:
                wrong.append(f"{update} on {brief(start.fields)}\n  (text, code): {differing}")
    assert not wrong, f"{len(wrong)} of {asked} differ; the first:\n" + "\n".join(wrong[:MISMATCHES_SHOWN])
    return asked


def brief(item: Json) -> str:
    names = ("status", "queue", "assignedTo", "routedTo", "session", "paused")
    return " ".join(f"{name}={item[name]}" for name in names)


def places(sessions: list[Json]) -> Json:
    names = ("workItems", "pausedWorkItems", "pendingItem", "used", "free", "routable")
    return {session["id"]: [session[name] for name in names] for session in sessions}
