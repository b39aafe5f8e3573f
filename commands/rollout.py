"""Which engine carries an update out, and how many fields it may have: how a team rolls the composed engine out."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from msgspec import Struct, field

from commands.legacy_engine import FUNNEL, FunnelRow, row_of
from commands.update import Update


class Engine(StrEnum):
    """The engine that carries an update out (setting `COMMAND_ENGINE`)."""

    COMPOSED = "composed"
    LEGACY = "legacy"


class UpdateOrigin(StrEnum):
    """Where an update came from: the sync itself, an API user, or the router."""

    SYNC = "sync"
    API = "api"
    ROUTER = "router"


FUNNEL_ROW_NAMES: Final = tuple(row.name for row in FUNNEL)
"""The names that `COMPOSED_UPDATES` may hold: the rows of the funnel."""


class EngineRollout(Struct, frozen=True, kw_only=True):
    """A deployment's choice of engine.

    `composed_updates` names the funnel's rows whose updates the composed engine carries out while `engine` is legacy.
    `fields_max` limits the fields of an update by its origin; an origin that is missing has no limit.
    """

    engine: Engine = Engine.COMPOSED
    composed_updates: frozenset[str] = frozenset()
    fields_max: Mapping[UpdateOrigin, int] = field(default_factory=dict)

    def row_for(self, update: Update) -> FunnelRow | None:
        """The funnel's row that carries the update out; None: the composed engine does."""
        if self.engine is Engine.COMPOSED:
            return None
        row = row_of(update)
        return None if row is None or row.name in self.composed_updates else row


DEFAULT_ROLLOUT: Final = EngineRollout()
"""The default: the composed engine carries everything out."""
