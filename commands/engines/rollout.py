"""The rollout of the composed engine: which engine executes an update, and how many fields an update may have."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from msgspec import Struct, field

from commands.engines.legacy import FUNNEL, FunnelRow, row_of
from commands.update import Update


class Engine(StrEnum):
    """An engine that executes updates (setting `COMMAND_ENGINE`)."""

    COMPOSED = "composed"
    LEGACY = "legacy"


class UpdateOrigin(StrEnum):
    """The sender of an update: the sync, a user of the API, or the router."""

    SYNC = "sync"
    API = "api"
    ROUTER = "router"


FUNNEL_ROW_NAMES: Final = tuple(row.name for row in FUNNEL)
"""The names of the funnel's rows, in their order: the values that setting `COMPOSED_UPDATES` may list."""


class EngineRollout(Struct, frozen=True, kw_only=True):
    """A deployment's choice of engine.

    `composed_updates`: the funnel rows whose updates the composed engine executes while `engine` is legacy, by name.
    `fields_max`: the most fields of an update, by its origin; an origin that is missing has no limit.
    """

    engine: Engine = Engine.COMPOSED
    composed_updates: frozenset[str] = frozenset()
    fields_max: Mapping[UpdateOrigin, int] = field(default_factory=dict)

    def row_for(self, update: Update) -> FunnelRow | None:
        """The funnel row that executes the update, or None where the composed engine does.

        None in three cases: `engine` is composed; no row matches (`resume` alone); `composed_updates` has the row.
        """
        if self.engine is Engine.COMPOSED:
            return None
        row = row_of(update)
        return None if row is None or row.name in self.composed_updates else row


DEFAULT_ROLLOUT: Final = EngineRollout()
"""The default: the composed engine executes every update."""
