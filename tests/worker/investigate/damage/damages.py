"""The damage that log viewers, notes and shells do to JSON, each at a random place of one event's text.

A damage takes the text and returns it damaged. It needs no knowledge of the repair.
"""

import re
from collections.abc import Callable, Mapping
from random import Random
from typing import Final

_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]')


def _brackets(text: str) -> list[tuple[int, int]]:
    """The places of each list's opening and closing bracket, outside texts."""
    pairs: list[tuple[int, int]] = []
    held: list[int] = []
    for found in _TOKEN.finditer(text):
        if found.group() == "[":
            held.append(found.start())
        elif found.group() == "]":
            pairs.append((held.pop(), found.start()))
    return pairs


def _without(text: str, places: set[int]) -> str:
    return "".join(char for at, char in enumerate(text) if at not in places)


def lose_all_brackets(random: Random, text: str) -> str:
    """Every list loses its brackets."""
    del random
    return _without(text, {at for pair in _brackets(text) for at in pair})


def lose_brackets(random: Random, text: str) -> str:
    """Some lists lose their brackets."""
    pairs = _brackets(text)
    chosen = random.sample(pairs, random.randint(1, len(pairs))) if pairs else []
    return _without(text, {at for pair in chosen for at in pair})


def lose_one_bracket(random: Random, text: str) -> str:
    """A list loses one of its brackets."""
    pairs = _brackets(text)
    return _without(text, {random.choice(random.choice(pairs))}) if pairs else text


def lose_last_brace(random: Random, text: str) -> str:
    """The last brace is lost."""
    del random
    return text.rstrip()[:-1]


def lose_inner_brace(random: Random, text: str) -> str:
    """Some closing brace is lost. None of the forms that are repaired."""
    closing = [found.start() for found in _TOKEN.finditer(text) if found.group() == "}"]
    return _without(text, {random.choice(closing)}) if closing else text


def type_quotes(random: Random, text: str) -> str:
    """A word processor makes all quotes typographic."""
    styles = (("“", "”"), ("”", "”"), ("„", "“"))
    opening, closing = random.choice(styles)
    parts: list[str] = []
    is_open = False
    for char in text:
        if char == '"':
            parts.append(closing if is_open else opening)
            is_open = not is_open
        else:
            parts.append(char)
    return "".join(parts)


def add_commas(random: Random, text: str) -> str:
    """Commas stand before closing brackets, one or several."""
    ends = [
        found.start()
        for found in _TOKEN.finditer(text)
        if found.group() in "]}" and text[found.start() - 1] not in "[{"
    ]
    for at in sorted(random.sample(ends, min(len(ends), random.randint(1, 3))), reverse=True):
        text = f"{text[:at]},{text[at:]}"
    return text


def cut_tail(random: Random, text: str) -> str:
    """The text ends somewhere."""
    return text[: random.randrange(1, len(text))] if len(text) > 1 else text


def cut_near_the_end(random: Random, text: str) -> str:
    """The text ends in the log line's fields behind the event, or nearly."""
    return text[: random.randrange(max(1, len(text) - 400), len(text))] if len(text) > 1 else text


def break_lines(random: Random, text: str) -> str:
    """Line breaks stand inside texts, names among them."""
    for _ in range(random.randint(1, 3)):
        strings = [found for found in _TOKEN.finditer(text) if found.group()[0] == '"' and len(found.group()) > 3]
        if not strings:
            return text
        chosen = random.choice(strings)
        at = random.randrange(chosen.start() + 2, chosen.end() - 1)
        broken = random.choice(("\n", "\r\n", "\n    ", " \n"))
        text = f"{text[:at]}{broken}{text[at:]}"
    return text


def wrap_lines(random: Random, text: str) -> str:
    """A viewer wraps the text at a width."""
    width = random.choice((80, 120, 200))
    lines = text.split("\n")
    return "\n".join("\n".join(line[at : at + width] for at in range(0, len(line) or 1, width)) for line in lines)


def indent_oddly(random: Random, text: str) -> str:
    """No-break blanks stand behind colons and commas outside texts, as in a copied page."""
    parts = re.split(r'("(?:[^"\\]|\\.)*")', text)
    chosen = random.choice((":", ","))
    return "".join(part if part.startswith('"') else part.replace(chosen, f"{chosen}\u00a0") for part in parts)


Damage = Callable[[Random, str], str]

DAMAGES: Final[Mapping[str, Damage]] = {
    "all brackets": lose_all_brackets,
    "some brackets": lose_brackets,
    "one bracket": lose_one_bracket,
    "last brace": lose_last_brace,
    "inner brace": lose_inner_brace,
    "quotes": type_quotes,
    "commas": add_commas,
    "cut": cut_tail,
    "cut near the end": cut_near_the_end,
    "line breaks": break_lines,
    "wrapped": wrap_lines,
    "blanks": indent_oddly,
}
"""By name. The quotes come last of several: the others look for straight ones."""
