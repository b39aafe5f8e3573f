"""Flips: the values that a sync takes away from a person's eyes, and brings back on the way to the end."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field

from sync.conversation import Field
from tests.causality.stories.pair_world import SharedFields
from tests.causality.stories.story import CONVERSATION


class Sight(Struct, frozen=True, kw_only=True):
    """What a person sees, and what a sync has taken away so far.

    - `shown`: the present values.
    - `written`: the value of the last outside write of a field, on either side. A sync that carries it over takes
      nothing away: a pause that follows a snooze, and ends with it, is no flip.
    - `taken`: the values that a sync replaced by another one, and that have not come back.
    - `conversation_flips`, `work_item_flips`: how often a sync brought such a value back.
    """

    shown: SharedFields = field(default_factory=dict)
    written: Mapping[Field, Any] = field(default_factory=dict)
    taken: Mapping[tuple[str, Field], tuple[Any, ...]] = field(default_factory=dict)
    conversation_flips: int = 0
    work_item_flips: int = 0

    @property
    def flips(self) -> int:
        """The flips on either side."""
        return self.conversation_flips + self.work_item_flips

    def after_write(self, shown: SharedFields) -> "Sight":
        """The sight after an outside write. A value that it brings back is no flip."""
        written, taken = dict(self.written), dict(self.taken)
        for place, _, value in self._changed(shown):
            written[place[1]] = value
            taken[place] = _without(taken, place, value)
        return Sight(
            shown=shown,
            written=written,
            taken=taken,
            conversation_flips=self.conversation_flips,
            work_item_flips=self.work_item_flips,
        )

    def after_sync(self, shown: SharedFields) -> "Sight":
        """The sight after a delivery or a poll: a sync made every change."""
        taken, flips = dict(self.taken), {True: self.conversation_flips, False: self.work_item_flips}
        for place, before, value in self._changed(shown):
            flips[place[0] == CONVERSATION] += value in taken.get(place, ())
            follows = place[1] in self.written and self.written[place[1]] == value
            taken[place] = (*_without(taken, place, value), *(() if follows else (before,)))
        return Sight(
            shown=shown,
            written=self.written,
            taken=taken,
            conversation_flips=flips[True],
            work_item_flips=flips[False],
        )

    def _changed(self, shown: SharedFields) -> list[tuple[tuple[str, Field], Any, Any]]:
        return [
            (place, self.shown[place], value)
            for place, value in shown.items()
            if place in self.shown and self.shown[place] != value
        ]


def _without(
    taken: Mapping[tuple[str, Field], tuple[Any, ...]], place: tuple[str, Field], value: Any
) -> tuple[Any, ...]:
    return tuple(each for each in taken.get(place, ()) if each != value)
