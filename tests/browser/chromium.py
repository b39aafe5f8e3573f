"""The browser of these tests: Debian's chromium, or another one of its family. None is ever downloaded."""

import os
import shutil
from typing import Final

_NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS: Final = (
    # A container's root has no sandbox of its own.
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
    # No name can be looked up but this machine's own address.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)  # fmt: skip


def chromium() -> str | None:
    """The browser's path: CHROMIUM names it, else it is on the PATH; None: there is none."""
    named = os.environ.get("CHROMIUM")
    return shutil.which(named) if named else next(filter(None, map(shutil.which, _NAMES)), None)


def missing_browser() -> str:
    """What is missing, and what to do, in one line."""
    if named := os.environ.get("CHROMIUM"):
        return f"CHROMIUM names {named}, and there is no such program: set it to the path of a chromium"
    return "no browser here: install Debian's chromium (`apt-get install chromium`), or name one with CHROMIUM=…"
