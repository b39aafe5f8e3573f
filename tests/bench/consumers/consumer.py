"""The measured consumers: each is a command line, run as a process of its own in the same environment."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct, field

from server_process import ROOT

PEERS_BIN: Final = ROOT / ".venv-bench" / "bin"
"""The programs of the peers' own virtual environment, which `make bench` makes where Python 3.12 is installed."""


class Consumer(Struct, frozen=True, kw_only=True):
    """A consumer of the queue.

    `one_at_a_time`: it handles single messages, and gets fewer of them (tests/bench/runs/rounds.py). `variables`:
    environment variables beside those that every consumer gets.
    """

    name: str
    command: tuple[str, ...]
    one_at_a_time: bool = False
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def installed(self) -> bool:
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
    Consumer(name="powertools", command=(_PEER, "-m", "tests.bench.peers.powertools_consumer"), one_at_a_time=True),
    Consumer(name="aws-sdk", command=(_PEER, "-m", "tests.bench.peers.aws_sdk_consumer"), one_at_a_time=True),
)
