"""Which build runs: the pure rooms as ordinary Python, or compiled."""

from pathlib import Path
from types import ModuleType
from typing import Final, Literal

import commands.execute
import handlers.planning.drafts.pair_draft
import sync.policy_causal

Build = Literal["compiled", "interpreted"]

# One module of each room that the compiled build compiles.
_WITNESSES: Final = (commands.execute, sync.policy_causal, handlers.planning.drafts.pair_draft)


def build_of(modules: tuple[ModuleType, ...]) -> Build:
    """`compiled` only where every one of the modules is."""
    return "interpreted" if any(Path(module.__file__ or "").suffix == ".py" for module in modules) else "compiled"


BUILD: Final = build_of(_WITNESSES)
"""The build of this process."""
