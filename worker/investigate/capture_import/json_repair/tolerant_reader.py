"""Reads one JSON object from a damaged text, by what is known of the fields' types.

    grammar of JSON, and besides                                       assumed
    "users":,           "users":}         the field is a list          []
    "users":"a","b"     "users":{…},{…}   the field is a list          ["a","b"]
    "tags":"a","b"                        of unknown type              ["a","b"]: nothing else has this form
    ["a","b","rev":1                      a name follows               ["a","b"],"rev":1
    {"a":1,}            ["a",]                                         the comma is one too many
    “a”:“b”                                                            "a":"b"
    a line break inside a text                                         text_mending.py
    the text ends       one bracket open, or the event is whole        cut_tail.py

A value of any other form, a lost value of a field that is no list, and a name that stands twice or in the wrong object
raise Unreadable: a guess there would be a wrong value. Libraries that repair JSON guess without the types, and say
neither where nor what they assumed; that is why this reader exists.
"""

from worker.investigate.capture_import.json_repair.cut_tail import close_cut_text
from worker.investigate.capture_import.json_repair.held_json import ReadText
from worker.investigate.capture_import.json_repair.object_reader import ObjectReader
from worker.investigate.capture_import.json_repair.repairs import Ended, RepairKind, Unreadable, lost_brace
from worker.investigate.capture_import.json_repair.text_mending import IN_TEXT
from worker.investigate.captured_fields import ENVELOPE
from worker.investigate.edits import applied
from worker.investigate.field_types import FieldType
from worker.investigate.soundness import parsed


class Reading(ReadText, frozen=True, kw_only=True):
    """`foreign`: the place and name of the first field that belongs to an object around its own."""

    foreign: tuple[int, str] | None


def read_damaged(text: str, start: int = 0, of: FieldType = ENVELOPE, *, is_behind_damage: bool = False) -> Reading:
    """The object that begins at `start`. Raises Unreadable.

    `is_behind_damage`: the object stands in a text that is damaged before it, so a brace that closes it may be
    another's.
    """
    reading = _read(text, start, of, breaks_are_inserted=False)
    if is_behind_damage and reading.foreign is not None:
        raise lost_brace(*reading.foreign)
    breaks = {repair.assumed for repair in reading.repairs if repair.kind is RepairKind.LINE_BREAK}
    if IN_TEXT in breaks and len(breaks) > 1:
        return _read(text, start, of, breaks_are_inserted=True)
    return reading


def _read(text: str, start: int, of: FieldType, *, breaks_are_inserted: bool) -> Reading:
    reader = ObjectReader(text, start, read_damaged, breaks_are_inserted=breaks_are_inserted)
    try:
        reader.read_object(of)
        end = reader.position
        edits = reader.notes.edits
    except Ended as ended:
        if reader.foreign is not None:
            raise lost_brace(*reader.foreign) from ended
        closed = close_cut_text(text, start, ended.offset, reader.frames, event_is_whole=reader.event_is_whole)
        reader.notes.repairs.append(closed.repair)
        end = closed.end
        edits = [*(edit for edit in reader.notes.edits if edit.end <= closed.keep), closed.edit]
    except RecursionError as error:
        raise Unreadable(start, "nests too deep") from error
    mended = applied(text, start, end, edits)
    try:
        parsed(mended)
    except ValueError as error:
        raise Unreadable(start, f"no JSON: {str(error).split(':')[0]}") from error
    return Reading(
        text=mended,
        end=end,
        foreign=reader.foreign,
        repairs=tuple(sorted(reader.notes.repairs, key=lambda one: one.offset)),
    )
