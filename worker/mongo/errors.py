"""What pymongo's faults mean to the store: the plan lost, the plan can never be taken, or MongoDB is away.

The lines are for an operator: they name the fault and its remedy, never a host, credentials or a customer's content.
"""

from typing import Any, Final

from bson.errors import BSONError, InvalidDocument
from pymongo.errors import (
    BulkWriteError,
    ConnectionFailure,
    DocumentTooLarge,
    NotPrimaryError,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
    WaitQueueTimeoutError,
)

from handlers.ports import StoreAway
from worker.store.transaction_result import (
    DOCUMENT_TOO_DEEP,
    DOCUMENT_TOO_LARGE,
    NOT_BSON,
    NUMBER_TOO_LARGE,
    TEXT_NOT_UNICODE,
    TransactionEnd,
    TransactionResult,
)

UNENCODABLE: Final = (BSONError, OverflowError, UnicodeEncodeError, RecursionError)
"""What encoding a document raises: the only faults of pymongo's that are a document's own."""

FAULTS: Final = (PyMongoError, *UNENCODABLE)
"""All that pymongo raises."""


_DUPLICATE_KEY: Final = 11000
_WRITE_CONFLICT: Final = 112

# Of the command as a whole, and still only the documents' own.
_TOO_MUCH: Final = {
    15: DOCUMENT_TOO_DEEP,
    257: "the plan is larger than a transaction can be",
    10334: DOCUMENT_TOO_LARGE,
    17280: "an indexed value is larger than MongoDB takes",
    17419: DOCUMENT_TOO_LARGE,
    17420: DOCUMENT_TOO_LARGE,
}

_CREDENTIALS: Final = "MongoDB refuses the credentials: check user, password and the roles on the database"
_DEADLINE: Final = (
    "MongoDB did not answer within the deadline: look for slow disks, missing indexes or too short a deadline"
)
_PRIMARY: Final = (
    "MongoDB has no primary that takes writes just now: wait for the election, or see the replica set's state"
)
_DISK: Final = "MongoDB's disk is full: free space or add some"
_STANDALONE: Final = "MongoDB is no replica set and has no transactions: start it with --replSet and initiate the set"

# Server codes that are nobody's document's fault, even where they stand in a bulk's write errors.
_REMEDIES: Final = {
    13: _CREDENTIALS,
    18: _CREDENTIALS,
    20: _STANDALONE,
    50: _DEADLINE,
    89: _DEADLINE,
    91: _PRIMARY,
    189: _PRIMARY,
    262: _DEADLINE,
    263: _STANDALONE,
    8000: _CREDENTIALS,
    10058: _PRIMARY,
    10107: _PRIMARY,
    11600: _PRIMARY,
    11601: "MongoDB interrupted the operation: see who ended it, and whether the server is overloaded",
    11602: _PRIMARY,
    13435: _PRIMARY,
    13436: _PRIMARY,
    14031: _DISK,
}


def away(fault: PyMongoError) -> StoreAway:
    """The one line for a fault that no plan is to blame for."""
    match fault:
        case NotPrimaryError():
            line = _PRIMARY
        case ServerSelectionTimeoutError():
            line = "MongoDB cannot be reached: check that it runs, its address, the network and the TLS settings"
        case WaitQueueTimeoutError():
            line = "all connections to MongoDB were in use for too long: raise maxPoolSize or run fewer lanes"
        case ConnectionFailure() if fault.timeout:
            line = _DEADLINE
        case ConnectionFailure():
            line = "the connection to MongoDB broke: check the network and whether the server restarted"
        case OperationFailure():
            line = _refusal(fault)
        case _:
            line = (
                f"the MongoDB client cannot work ({type(fault).__name__}): check the connection string and its options"
            )
    return StoreAway(line)


def ended(fault: Exception) -> TransactionResult:
    """How a fault (one of `FAULTS`) ended the transaction that met it; raises `StoreAway` where no plan is to blame."""
    if isinstance(fault, UNENCODABLE):
        return TransactionResult(end=TransactionEnd.REJECTED, reason=_unencodable(fault))
    if not isinstance(fault, PyMongoError):
        raise fault
    if result_unknown(fault):
        return TransactionResult(end=TransactionEnd.UNKNOWN)
    if isinstance(fault, OperationFailure):
        known = _ended_by_server(fault)
        if known is not None:
            return known
    raise away(fault) from fault


def result_unknown(fault: BaseException) -> bool:
    """Whether the fault leaves open if the transaction was committed."""
    return isinstance(fault, PyMongoError) and fault.has_error_label("UnknownTransactionCommitResult")


def _ended_by_server(fault: OperationFailure) -> TransactionResult | None:
    """None for a fault that no plan is to blame for."""
    errors: list[dict[str, Any]] = (
        (fault.details or {}).get("writeErrors", []) if isinstance(fault, BulkWriteError) else []
    )
    codes = {error["code"] for error in errors} or {fault.code}
    if _DUPLICATE_KEY in codes:
        return TransactionResult(end=TransactionEnd.LOST)
    if _WRITE_CONFLICT in codes or fault.has_error_label("TransientTransactionError"):
        return TransactionResult(end=TransactionEnd.DISTURBED)
    for code in sorted(codes & _TOO_MUCH.keys()):
        return TransactionResult(end=TransactionEnd.REJECTED, reason=_TOO_MUCH[code])
    if errors and not codes & _REMEDIES.keys():
        return TransactionResult(
            end=TransactionEnd.REJECTED, reason=f"MongoDB refuses the document (code {min(codes)})"
        )
    return None


def _unencodable(fault: Exception) -> str:
    match fault:
        case DocumentTooLarge():
            return DOCUMENT_TOO_LARGE
        case OverflowError():
            return NUMBER_TOO_LARGE
        case UnicodeEncodeError():
            return TEXT_NOT_UNICODE
        case RecursionError():
            return DOCUMENT_TOO_DEEP
        case InvalidDocument():
            return NOT_BSON
        case _:
            return f"the document cannot be written as BSON ({type(fault).__name__})"


def _refusal(fault: OperationFailure) -> str:
    errors = (fault.details or {}).get("writeErrors", []) if isinstance(fault, BulkWriteError) else []
    code = errors[0]["code"] if errors else fault.code
    if code in _REMEDIES:
        return _REMEDIES[code]
    if fault.timeout:
        return _DEADLINE
    return f"MongoDB refuses to work (code {code}): look the code up in its log"
