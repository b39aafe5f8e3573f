"""A value made several times an event: a frozen dataclass whose freezing is checked by mypy, not again as it is built.

Python freezes by setting each field through a detour, which is most of the cost of a value: a work-item of 25 fields
takes 8.8 µs to build frozen and 1.9 so. Whoever sets a field of one fails `make check`. Left out: hashing, of which
none of these has need; what is made seldom or put into sets is an ordinary frozen dataclass.
"""

from dataclasses import dataclass
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, kw_only_default=True)
def record(cls: type[T]) -> type[T]:
    """`dataclass(slots=True, kw_only=True)`, frozen for the type checker."""
    return dataclass(slots=True, kw_only=True)(cls)
