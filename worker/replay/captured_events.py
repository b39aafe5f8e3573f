"""What a replay reads: captured events with the place where each was found, as often as it is asked for.

`simulate` has to know what the documents were before the first event, so it reads everything twice. What can be read
only once, standard input or a pipe, is kept in a temporary file meanwhile, never in memory.
"""

import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, BinaryIO, assert_never

from msgspec import Struct

from handlers.events.envelope import unwrap_value
from handlers.events.event import Event, Malformed, UnsupportedEvent
from handlers.events.parser import read_event
from worker.captures import Capture, CaptureFault, captures_of, read_captures

STANDARD_INPUT = "standard input"


class CapturedEvent(Struct, frozen=True, kw_only=True):
    """A captured event and where it was found. `raw`: the event's own JSON object, without its wrappers."""

    event: Event
    raw: Mapping[str, Any]
    capture: Capture


Found = CapturedEvent | UnsupportedEvent | CaptureFault


class ReplayInput:
    """Files, `-` for standard input, in their order."""

    def __init__(self, files: Sequence[Path], stdin: BinaryIO | None = None) -> None:
        self._files = files
        self._stdin = stdin
        self._kept: dict[Path, IO[bytes]] = {}

    def __enter__(self) -> "ReplayInput":
        """To be used in a `with`: temporary files go in the end."""
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is kept."""
        for kept in self._kept.values():
            kept.close()

    @property
    def name(self) -> str:
        """The files, for people."""
        return ", ".join(map(_name, self._files))

    def found(self, conversation: str | None = None) -> Iterator[Found]:
        """Everything, or what is of one conversation, and every fault. To be read to the end before asking again."""
        for file in self._files:
            for one in self._captures(file):
                found = one if isinstance(one, CaptureFault) else _read(one)
                of = found.event.conversation_id if isinstance(found, CapturedEvent) else None
                if conversation is None or of == conversation or isinstance(found, CaptureFault):
                    yield found

    def _captures(self, file: Path) -> Iterator[Capture | CaptureFault]:
        name = _name(file)
        if file in self._kept:
            self._kept[file].seek(0)
            yield from captures_of(name, self._kept[file])
        elif str(file) == "-":
            yield from captures_of(name, self._keeping(file, self._stdin or sys.stdin.buffer))
        elif file.is_file() or not file.exists():
            yield from read_captures(file)
        else:
            yield from self._read_once(file, name)

    def _read_once(self, file: Path, name: str) -> Iterator[Capture | CaptureFault]:
        try:
            with file.open("rb") as lines:
                yield from captures_of(name, self._keeping(file, lines))
        except OSError as error:
            yield CaptureFault(file=name, line=0, message=f"cannot be read: {error.strerror}")

    def _keeping(self, file: Path, lines: BinaryIO) -> Iterator[bytes]:
        kept = self._kept[file] = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the input
        for line in lines:
            kept.write(line)
            yield line


def _name(file: Path) -> str:
    return STANDARD_INPUT if str(file) == "-" else str(file)


def _read(capture: Capture) -> Found:
    unwrapped = unwrap_value(capture.value)
    if isinstance(unwrapped, Malformed):
        return _fault(capture, unwrapped)
    read = read_event(unwrapped)
    match read:
        case Event():
            return CapturedEvent(event=read, raw=unwrapped.event, capture=capture)
        case Malformed():
            return _fault(capture, read)
        case UnsupportedEvent():
            return read
        case _:
            assert_never(read)


def _fault(capture: Capture, malformed: Malformed) -> CaptureFault:
    message = f"{malformed.code.value}: {malformed.reason}"
    return CaptureFault(file=capture.file, line=capture.line, message=message)
