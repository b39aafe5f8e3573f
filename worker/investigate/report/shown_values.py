"""Values of documents in words, as the report shows them."""

from typing import Final

_CHARACTERS_MAX: Final = 300


def shown_value(value: object) -> str:
    """The value in words; a long one is cut."""
    match value:
        case None:
            text = "nothing"
        case True | False:
            text = str(value).lower()
        case []:
            text = "none"
        case list() | tuple():
            text = ", ".join(shown_value(each) for each in value)
        case dict():
            text = ", ".join(f"{name} {shown_value(each)}" for name, each in value.items())
        case _:
            text = str(value)
    return text if len(text) <= _CHARACTERS_MAX else f"{text[:_CHARACTERS_MAX]}…"
