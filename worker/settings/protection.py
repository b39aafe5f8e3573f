"""What a number among the settings protects: the third table of docs/settings.md.

A setting carries its `Protection` in its annotation: `Annotated[int, Protection(…)]`. Every number but a port has one,
and so has every setting with MAX in its name.
"""

from msgspec import Struct
from pydantic.fields import FieldInfo


class Protection(Struct, frozen=True):
    """What the setting protects, and what goes wrong where the value is too low or too high for the load."""

    what: str
    too_low: str
    too_high: str


def protection_of(field: FieldInfo) -> Protection | None:
    """The protection in the setting's annotation; None: it has none."""
    return next((part for part in field.metadata if isinstance(part, Protection)), None)
