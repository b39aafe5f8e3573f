"""Who is measured: each a command line, run as a process of its own with the same environment."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct, field

from server_process import ROOT

PEERS_BIN: Final = ROOT / ".venv-bench" / "bin"
"""The peers' own environment; `make bench` makes it where Python 3.12 is at hand."""


class Consumer(Struct, frozen=True, kw_only=True):
    """`one_at_a_time`: handles message by message, and gets fewer of them where each costs transactions.

    `variables`: of its own, beside the environment that all have.
    """

    name: str
    command: tuple[str, ...]
    one_at_a_time: bool = False
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def there(self) -> bool:
        """Whether its program is installed."""
        return Path(self.command[0]).exists()


_HERE: Final = sys.executable
_PEER: Final = str(PEERS_BIN / "python")

BARE: Final = Consumer(name="bare", command=(_HERE, "-m", "tests.bench.consumers.bare"))
OURS: Final = Consumer(name="ours", command=(str(Path(_HERE).parent / "routing-sync"), "run"))
ALL: Final[Sequence[Consumer]] = (
    BARE,
    OURS,
    Consumer(
        name="ours-library",
        command=OURS.command,
        variables={"SQS_TRANSPORT": "library", "SNS_TRANSPORT": "library"},
    ),
    Consumer(name="one-by-one", command=(_HERE, "-m", "tests.bench.consumers.one_by_one"), one_at_a_time=True),
    Consumer(name="fanferro", command=(_PEER, "-m", "tests.bench.peers.fanferro_consumer"), one_at_a_time=True),
    Consumer(
        name="tomodachi",
        command=(str(PEERS_BIN / "tomodachi"), "run", "tests/bench/peers/tomodachi_consumer", "--production"),
        one_at_a_time=True,
    ),
    Consumer(name="taskiq", command=(_PEER, "-m", "tests.bench.peers.taskiq_consumer"), one_at_a_time=True),
)
