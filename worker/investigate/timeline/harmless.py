"""Captured texts that cannot steer a terminal or reorder a line."""


def harmless(text: str) -> str:
    """The text with an escape in the place of each character that does not print: control characters, bidirectional
    marks, line ends, half surrogate pairs."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else _escape(each) for each in text)


def _escape(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")
