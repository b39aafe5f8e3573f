"""Which way an update is carried out, and who may ask for how much: how a team rolls the composed engine out."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from msgspec import Struct, field

from commands.legacy_engine import FUNNEL, FunnelRow, row_of
from commands.update import Update


class Engine(StrEnum):
    """What carries an update out (`COMMAND_ENGINE`)."""

    COMPOSED = "composed"
    LEGACY = "legacy"


class UpdateOrigin(StrEnum):
    """Where an update came from: the sync itself, an API user, or the router."""

    SYNC = "sync"
    API = "api"
    ROUTER = "router"


UPDATE_NAMES: Final = tuple(row.update for row in FUNNEL)
"""What `COMPOSED_UPDATES` may name: the rows of the funnel."""


class EngineRollout(Struct, frozen=True, kw_only=True):
    """`composed_updates`: updates that take the composed way while the rest stays in the funnel. `fields_max`: how many
    fields an update from an origin may have; an origin that is not named may send any number."""

    engine: Engine = Engine.COMPOSED
    composed_updates: frozenset[str] = frozenset()
    fields_max: Mapping[UpdateOrigin, int] = field(default_factory=dict)

    def row_for(self, update: Update) -> FunnelRow | None:
        """The funnel's row that carries the update out, or None where the composed engine does."""
        if self.engine is Engine.COMPOSED:
            return None
        row = row_of(update)
        return None if row is None or row.update in self.composed_updates else row


COMPOSED: Final = EngineRollout()
"""The default: everything the composed way."""
