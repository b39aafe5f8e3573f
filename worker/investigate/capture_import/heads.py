"""How a captured value begins: by the first names of log lines, messages, events and of the wrappers of exports."""

import re
from typing import Final

QUOTE: Final = '["“”„‟]'
"""Any quote that may stand for a straight one."""
HEAD: Final = (
    rf"\{{\s*{QUOTE}(?:dd{QUOTE}\s*:\s*\{{|level{QUOTE}\s*:\s*\d|hostname{QUOTE}\s*:|name{QUOTE}\s*:\s*{QUOTE}event|"
    rf"name{QUOTE}\s*:\s*{QUOTE}[^\"“”]+{QUOTE}\s*,\s*{QUOTE}hostname{QUOTE}\s*:|"
    rf"MessageId|ReceiptHandle|Type{QUOTE}\s*:\s*{QUOTE}Notification|log{QUOTE}\s*:|@timestamp|@message|"
    rf"id{QUOTE}\s*:\s*{QUOTE}[^\"“”]+{QUOTE}\s*,\s*{QUOTE}name{QUOTE}\s*:)"
)
"""The beginning of a value. An event's stands in the messages around it, too."""
BEGINNING: Final = re.compile(HEAD)
EVENT_NAMES: Final = ("kustomer.", "routing-sync.")
"""How the names of events begin."""
EVENT_BEGINNING: Final = re.compile(
    rf"\{{\s*{QUOTE}id{QUOTE}\s*:\s*{QUOTE}[^\"“”]+{QUOTE}\s*,\s*{QUOTE}name{QUOTE}\s*:\s*{QUOTE}"
    rf"(?:{'|'.join(map(re.escape, EVENT_NAMES))})"
)
"""The beginning of an event, or of the message around it."""
_NEXT_OUTER: Final = re.compile(rf"(?<!{QUOTE}:)(?<!{QUOTE}: ){HEAD}")


def next_beginning(text: str, fault_at: int) -> int:
    """Where reading goes on in a text that begins at 0 and is damaged at `fault_at`; -1 where no value begins behind.

    `fault_at` 0: the text breaks off somewhere, and values in it are no beginnings.
    """
    found = BEGINNING.search(text, fault_at) if fault_at else _NEXT_OUTER.search(text, 1)
    return -1 if found is None else found.start()
