"""The script of a day: who does what to which conversation, and when. Pure: the same seed has the same script.

Every conversation has two tracks that run beside each other: the app's, on which customers, agents and workflows write
the conversation, and the router's, on which the router, agents and business rules write its work-items, by events or
over HTTP. A step that makes no sense when its time comes (there is no work-item yet) is passed over.
"""

from collections.abc import Mapping
from random import Random
from typing import Final, Literal

from msgspec import Struct

AGENTS: Final = 16
QUEUES: Final = ("q-chat", "q-mail", "q-vip", "q-phone")
TIERS: Final = ("gold", "silver", "bronze")

Way = Literal["event", "http"]

CONVERSATION_STEPS: Final[Mapping[str, float]] = {
    "touch": 5,
    "assign": 4,
    "un-assign": 1,
    "queue": 2,
    "no queue": 0.4,
    "snooze": 1,
    "open": 1.2,
    "end": 0.7,
    "re-open": 1.6,
    "done": 1.8,
    "delete": 0.1,
    "remove": 0.1,
}
"""The steps of the app's track, with their weights."""
EVENT_STEPS: Final[Mapping[str, float]] = {
    "assign": 3,
    "un-assign": 1,
    "queue": 2,
    "wrap up": 0.6,
    "complete": 0.8,
    "touch": 1,
}
"""The writes of work-items that services make in the database and announce."""
HTTP_STEPS: Final[Mapping[str, float]] = {
    "route": 5,
    "accept": 4.5,
    "reject": 0.8,
    "time out": 0.8,
    "assign": 1,
    "un-assign": 0.6,
    "queue": 1.5,
    "no queue": 0.3,
    "pause": 0.6,
    "resume": 0.6,
    "wrap up": 0.8,
    "complete": 1,
    "move and assign": 0.8,
    "unknown field": 0.3,
    "forbidden": 0.3,
    "unknown id": 0.2,
    "no json": 0.2,
}
"""The updates over HTTP; the last four are refused."""

_OUTDATED: Final = 0.2
_SILENT: Final = 0.15
_WITH_REV: Final = 0.3
_TWICE_AT_ONCE: Final = 0.1
_BY_HTTP: Final = 0.6


class ActorStep(Struct, frozen=True, kw_only=True):
    """One attempt of an actor, `after_s` after the step before it.

    - `behind`: how many revisions of the conversation the actor's knowledge is old.
    - `silent`: the write does not say what it knew.
    - `with_rev`: an update over HTTP names the revision of the work-item that its client has read.
    - `twice_at_once`: the update is sent to both processes at the same moment.
    """

    way: Way
    name: str
    after_s: float
    agent: int
    queue: str
    behind: int
    silent: bool
    with_rev: bool = False
    twice_at_once: bool = False


class ConversationScript(Struct, frozen=True, kw_only=True):
    """The life of one conversation. `user` and `queue`: those that it is created with; None: none.

    `maker`: whether a service beside the worker tries to create the first work-item, too.
    """

    key: str
    begin_s: float
    tier: str
    user: int | None
    queue: str | None
    maker: bool
    app: tuple[ActorStep, ...]
    router: tuple[ActorStep, ...]
    seed: float


class Shift(Struct, frozen=True, kw_only=True):
    """An agent leaves or comes back."""

    after_s: float
    agent: int


class DayScript(Struct, frozen=True, kw_only=True):
    """The script of a day of `seconds`."""

    seed: int
    seconds: float
    conversations: tuple[ConversationScript, ...]
    shifts: tuple[Shift, ...]


def day_script(seed: int, *, conversations: int, seconds: float, steps: int) -> DayScript:
    """The script of so many conversations that begin within the first two thirds of `seconds`. `steps`: the mean number
    of steps of a conversation."""
    chance = Random(seed)
    shifts = tuple(
        Shift(after_s=seconds * number / (2 * AGENTS), agent=chance.randrange(AGENTS)) for number in range(2 * AGENTS)
    )
    return DayScript(
        seed=seed,
        seconds=seconds,
        conversations=tuple(
            _conversation(f"c{number}", Random(chance.random()), seconds, steps) for number in range(conversations)
        ),
        shifts=shifts,
    )


def _conversation(key: str, chance: Random, seconds: float, steps: int) -> ConversationScript:
    begin_s = chance.uniform(0, seconds * 2 / 3)
    app, router = (_pauses(chance, max(1, round(chance.gauss(steps / 2, steps / 6))), seconds / 3) for _ in range(2))
    assigned, queued = chance.random() < 0.25, chance.random() < 0.4
    return ConversationScript(
        key=key,
        begin_s=begin_s,
        tier=chance.choice(TIERS),
        user=chance.randrange(AGENTS) if assigned else None,
        queue=chance.choice(QUEUES) if queued else None,
        maker=chance.random() < 0.1,
        app=tuple(_step(chance, "event", CONVERSATION_STEPS, pause_s) for pause_s in app),
        router=tuple(_router_step(chance, pause_s) for pause_s in router),
        seed=chance.random(),
    )


def _pauses(chance: Random, count: int, length_s: float) -> list[float]:
    """So many pauses, which together take `length_s`."""
    shares = [chance.random() for _ in range(count)]
    return [length_s * share / sum(shares) for share in shares]


def _router_step(chance: Random, pause_s: float) -> ActorStep:
    if chance.random() < _BY_HTTP:
        return _step(chance, "http", HTTP_STEPS, pause_s)
    return _step(chance, "event", EVENT_STEPS, pause_s)


def _step(chance: Random, way: Way, weights: Mapping[str, float], pause_s: float) -> ActorStep:
    return ActorStep(
        way=way,
        name=chance.choices(list(weights), list(weights.values()))[0],
        after_s=pause_s,
        agent=chance.randrange(AGENTS),
        queue=chance.choice(QUEUES),
        behind=chance.randrange(1, 4) if chance.random() < _OUTDATED else 0,
        silent=chance.random() < _SILENT,
        with_rev=chance.random() < _WITH_REV,
        twice_at_once=chance.random() < _TWICE_AT_ONCE,
    )
