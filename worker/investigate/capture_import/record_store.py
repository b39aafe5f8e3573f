"""The imported records until they are written in order: their texts in a temporary file, what orders them in memory."""

import tempfile
from collections.abc import Iterator
from enum import StrEnum
from sys import intern
from typing import IO, Final

from msgspec import Struct

from worker.errors import InputNotKept
from worker.investigate.capture_import.records import Record

IN_MEMORY_BYTES_MAX: Final = 8_388_608
"""The size above which the texts are in a file."""


class Added(StrEnum):
    """What became of a record. `DUPLICATE`: it was there. `CONFLICT`: another content has its id, both are kept.
    `DAMAGED_COPY`: another content has its id, and only one of the two needed no repair: that one is kept.
    `SAME_REVISION`: another event has its document's revision, both are kept."""

    NEW = "new"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"
    DAMAGED_COPY = "damaged-copy"
    SAME_REVISION = "same-revision"


class _Entry(Struct, kw_only=True):
    record: Record
    offset: int
    length: int
    place: tuple[str, int]
    is_repaired: bool


class AddedRecord(Struct, frozen=True, kw_only=True):
    """What became of a record, and the file and line of the other one where there is one."""

    added: Added
    other: tuple[str, int] | None = None


class RecordStore:
    """A context manager: it closes its file."""

    def __init__(self) -> None:
        self._texts: IO[bytes] = tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES_MAX)  # noqa: SIM115 - closed at the end
        self._size = 0
        self._entries: list[_Entry] = []
        self._by_id: dict[str | bytes, list[_Entry]] = {}
        self._by_revision: dict[tuple[str, int], _Entry] = {}

    def __enter__(self) -> "RecordStore":
        return self

    def __exit__(self, *_: object) -> None:
        self._texts.close()

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, record: Record, text: str, place: tuple[str, int], *, is_repaired: bool) -> AddedRecord:
        """Keep a record's text, unless the same event is kept already. Raises InputNotKept."""
        entry = _Entry(record=_small(record), offset=0, length=0, place=place, is_repaired=is_repaired)
        same_id = self._by_id.setdefault(record.digest if record.event_id is None else intern(record.event_id), [])
        for other in same_id:
            if other.record.digest == record.digest:
                if _rank(entry) > _rank(other):
                    self._replace(other, entry, text)
                return AddedRecord(added=Added.DUPLICATE, other=other.place)
        for other in same_id:
            if other.is_repaired is not is_repaired:
                was = other.place
                if other.is_repaired:
                    self._replace(other, entry, text)
                return AddedRecord(added=Added.DAMAGED_COPY, other=was)
        same_id.append(entry)
        self._keep(entry, text)
        self._entries.append(entry)
        if len(same_id) > 1:
            return AddedRecord(added=Added.CONFLICT, other=same_id[0].place)
        if record.rev:
            first = self._by_revision.setdefault((entry.record.document, record.rev), entry)
            if first is not entry:
                return AddedRecord(added=Added.SAME_REVISION, other=first.place)
        return AddedRecord(added=Added.NEW)

    def in_order(self) -> Iterator[bytes]:
        """The texts in the order of time; of one document, by revision. A record without a time follows the one that
        was read before it."""
        waiting: dict[str, list[_Entry]] = {}
        at = 0.0
        slots: list[tuple[float, int]] = []
        for number, entry in enumerate(self._entries):
            at = entry.record.at if entry.record.at is not None else at
            slots.append((at, number))
            if entry.record.rev:
                waiting.setdefault(entry.record.document, []).append(entry)
        for entries in waiting.values():
            entries.sort(key=lambda one: one.record.rev, reverse=True)
        for _, number in sorted(slots):
            entry = self._entries[number]
            if entry.record.rev:
                # The slots of a document are filled with its events in the order of their revisions.
                entry = waiting[entry.record.document].pop()
            self._texts.seek(entry.offset)
            yield self._texts.read(entry.length)

    def _replace(self, entry: _Entry, by: _Entry, text: str) -> None:
        self._keep(entry, text)
        entry.record, entry.place, entry.is_repaired = by.record, by.place, by.is_repaired

    def _keep(self, entry: _Entry, text: str) -> None:
        written = text.encode("utf-8", "surrogatepass")
        try:
            self._texts.seek(self._size)
            self._texts.write(written)
        except OSError as error:
            raise InputNotKept(
                f"the events cannot be kept until they are in order: {error.strerror}: set TMPDIR to a folder with "
                "room for a copy of the input"
            ) from error
        entry.offset, entry.length = self._size, len(written)
        self._size += len(written)


def _small(record: Record) -> Record:
    """The same record; what many records share is in memory once."""
    return Record(
        event_id=record.event_id,
        document=intern(record.document),
        rev=record.rev,
        at=record.at,
        digest=record.digest,
        wrappers=record.wrappers,
    )


def _rank(entry: _Entry) -> tuple[bool, int]:
    """Of two copies of an event the one that needed no repair is kept, then the one whose wrappers say more."""
    return not entry.is_repaired, entry.record.wrappers
