"""A file that a verb writes: it has its name once it is whole."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def new_file(path: Path) -> Iterator[IO[bytes]]:
    """A file that has its name when it is whole; until then it is `FILE.part`. Only the user can read it."""
    part = path.with_name(f"{path.name}.part")
    with ExitStack() as undo:
        undo.callback(part.unlink, missing_ok=True)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            yield file
        part.replace(path)
        undo.pop_all()
