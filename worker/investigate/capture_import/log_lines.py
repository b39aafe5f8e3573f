"""The lines of log files, without what runtimes and viewers put before them.

| form | source |
|---|---|
| `2016-10-06T00:17:09.669794202Z stdout F …` | container runtimes of Kubernetes (CRI); `P`: the line goes on |
| `{"log":"…\\n","stream":"stdout","time":"…"}` | Docker's json-file driver; without the line break the line goes on |
| `[pod/NAME/CONTAINER] …` | `kubectl logs --prefix`, with or without `--timestamps` |
| `NAME-1  \\| …` | `docker compose logs` |
| `2021-02-13T07:27:18.720Z …` | CloudWatch's export to S3, `aws logs tail`, `kubectl logs --timestamps` |
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final

import orjson
from msgspec import Struct

_INSTANT: Final = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?"
_POD: Final = re.compile(r"\[pod/[\w.-]+/[\w.-]+\] ")
_CRI: Final = re.compile(rf"(?P<at>{_INSTANT}) (?P<stream>stdout|stderr) (?P<tag>[FP])(?::\S*)? ?")
_COMPOSE: Final = re.compile(r"[\w.-]{1,64} +\| ")
_STAMPED: Final = re.compile(rf"{_INSTANT}[ \t]+(?:[\w/.$\[\]-]{{1,512}}[ \t]+)?(?=[{{\[])")
_DOCKER_START: Final = '{"log":'
_COLOURS: Final = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_PARTIAL_MAX: Final = 8_388_608


class LogLine(Struct, frozen=True):
    """A line as its program wrote it. `has_prefix`: a runtime or a viewer put something before it, so it begins a line
    of its program."""

    line: int
    text: str
    has_prefix: bool = False


def log_lines(lines: Iterable[tuple[int, str]]) -> Iterator[LogLine]:
    """The lines of a file, given with their numbers. A line that came in parts has the number of its first part."""
    parts = _Parts()
    for number, raw in lines:
        text = _COLOURS.sub("", raw) if "\x1b" in raw else raw
        source, has_prefix = "", False
        if pod := _POD.match(text):
            source, has_prefix, text = pod.group(), True, text[pod.end() :]
        elif compose := _COMPOSE.match(text):
            source, has_prefix, text = compose.group(), True, text[compose.end() :]
        if cri := _CRI.match(text):
            part = text[cri.end() :].rstrip("\r\n")
            yield from parts.add(source + cri["stream"], number, part, is_last=cri["tag"] == "F")
        elif text.startswith(_DOCKER_START) and (logged := _docker_text(text)) is not None:
            stream, written = logged
            yield from parts.add(source + stream, number, written.rstrip("\n"), is_last=written.endswith("\n"))
        else:
            stamp = _STAMPED.match(text)
            if stamp is not None:
                has_prefix, text = True, text[stamp.end() :]
            yield LogLine(number, text, has_prefix)
    yield from parts.rest()


class _Parts:
    """The parts of lines that are not finished, by stream."""

    def __init__(self) -> None:
        self._parts: dict[str, tuple[int, list[str], int]] = {}

    def add(self, stream: str, number: int, text: str, *, is_last: bool) -> Iterator[LogLine]:
        first, parts, size = self._parts.pop(stream, (number, [], 0))
        parts.append(text)
        size += len(text)
        if is_last or size > _PARTIAL_MAX:
            yield LogLine(first, "".join([*parts, "\n"]), True)
        else:
            self._parts[stream] = (first, parts, size)

    def rest(self) -> Iterator[LogLine]:
        for first, parts, _ in self._parts.values():
            yield LogLine(first, "".join([*parts, "\n"]), True)


def _docker_text(text: str) -> tuple[str, str] | None:
    """The stream and the text of a line of Docker's; None for another object."""
    try:
        value = orjson.loads(text.strip())
    except orjson.JSONDecodeError:
        return None
    match value:
        case {"log": str() as log, "stream": str() as stream}:
            return stream, log
        case _:
            return None
