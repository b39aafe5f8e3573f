"""How a transaction ends, and the reasons for which a store rejects a plan. Both stores share them.

A reason is for an operator, in the audit line of each of the plan's events. It names the defect and quotes no content
of a customer.
"""

from enum import Enum, auto
from typing import Final

from msgspec import Struct

DOCUMENT_TOO_LARGE: Final = "the document is larger than MongoDB takes"
DOCUMENT_TOO_DEEP: Final = "the document is nested too deep"
NUMBER_TOO_LARGE: Final = "the document holds a number beyond 64 bits"
TEXT_NOT_UNICODE: Final = "the document holds a text that is not Unicode"
NOT_BSON: Final = "the document holds a key or a value that BSON cannot"

DOCUMENT_BYTES_MAX: Final = 16 * 1024 * 1024
"""MongoDB's limit for one BSON document ("MongoDB Limits and Thresholds", BSON Document Size)."""


class TransactionEnd(Enum):
    """How a transaction ended."""

    COMMITTED = auto()
    LOST = auto()
    """A condition of the transaction does not hold: another writer was first."""
    DISTURBED = auto()
    """A write conflict with another transaction: the same transaction may succeed at the next attempt."""
    REJECTED = auto()
    """The transaction holds something that the server never takes."""
    UNKNOWN = auto()
    """The commit was sent, and its response is missing."""


class TransactionResult(Struct, frozen=True, kw_only=True):
    """A transaction's end.

    `reason`: why it was REJECTED, or that the deadline passed, where its end is UNKNOWN for that; else empty.
    """

    end: TransactionEnd
    reason: str = ""
