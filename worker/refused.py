"""What AWS answers of one entry of a batch that it did not take.

In a file of its own for those who know of AWS no more than that: its library takes half a second to import.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """One entry of a batch that AWS did not take. `final`: it will not take it at another try either."""

    code: str
    reason: str
    final: bool
