"""Pymongo's exceptions translated for the store (worker/errors.py, worker/store/transaction/result.py).

| pymongo raises | the store has |
|---|---|
| a duplicate key of a unique index of ours | LOST: a condition of the transaction does not hold |
| a duplicate key of another unique index | REJECTED, with the index's name |
| a write conflict, the label `TransientTransactionError` | DISTURBED: the transaction may be tried again |
| a document that the server or the encoder refuses | REJECTED, with the reason |
| the label `UnknownTransactionCommitResult` | UNKNOWN, with the reason where the deadline passed |
| no answer within the deadline | `StoreTimeout` |
| every other error | `StoreAway` |

What no waiting ends is a setup error at start (setup_errors.py).

Messages are for an operator: they name the error, its remedy, and the driver's words where these say more, never a
host, credentials or a customer's content.
Error codes: MongoDB's `src/mongo/base/error_codes.yml`.
"""

import re
from typing import Any, Final

from bson.errors import BSONError, InvalidDocument
from dns.exception import DNSException
from pymongo.errors import (
    BulkWriteError,
    ConfigurationError,
    ConnectionFailure,
    DocumentTooLarge,
    NotPrimaryError,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
    WaitQueueTimeoutError,
)

from handlers.ports import StoreAway, StoreTimeout
from worker.mongo.driver_words import driver_words
from worker.store.transaction.result import (
    DOCUMENT_TOO_DEEP,
    DOCUMENT_TOO_LARGE,
    NOT_BSON,
    NUMBER_TOO_LARGE,
    TEXT_NOT_UNICODE,
    TransactionEnd,
    TransactionResult,
)

ENCODING_ERRORS: Final = (BSONError, OverflowError, UnicodeEncodeError, RecursionError)
"""The errors of encoding a document as BSON: the document causes them, not the server."""

DRIVER_ERRORS: Final = (PyMongoError, OSError, ValueError, RuntimeError)
"""The errors of a call that no document causes. The token of MONGODB-OIDC comes from a file, whose error is an OSError,
or from the cloud's metadata service, whose error is a ValueError; a RuntimeError names a variable that is not set."""

MONGO_ERRORS: Final = (*DRIVER_ERRORS, *ENCODING_ERRORS)
"""Every exception that a call of pymongo can raise."""

_DUPLICATE_KEY: Final = 11000
_OUR_UNIQUE_KEYS: Final = (["_id"], ["conversationId"])
"""The fields of our unique indexes. The start refuses others on `conversationId` (indexes/creation.py)."""
_INDEX_NAME: Final = re.compile(r" index: (.{1,128}?)(?: collation: | dup key: )")
_WRITE_CONFLICT: Final = 112

_METADATA_SERVICE: Final = "IMDS"
"""In every error that the driver raises for the metadata service of Azure or Google."""

AUTHENTICATION_CODES: Final = frozenset({18, 334, 8000})
"""Authentication failed; the server does not have the mechanism; Atlas refuses."""

# Errors of the whole command that its documents cause.
_REJECTIONS: Final = {
    15: DOCUMENT_TOO_DEEP,
    257: "the plan is larger than a transaction can be",
    388: "the plan is larger than MongoDB's cache can hold in one transaction",
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

# Server errors that no document causes, even if they stand among the write errors of a bulk.
_REMEDIES: Final = {
    13: _CREDENTIALS,
    18: _CREDENTIALS,
    20: _STANDALONE,
    50: _DEADLINE,
    89: _DEADLINE,
    91: _PRIMARY,
    189: _PRIMARY,
    261: "MongoDB holds too many sessions: see which client opens them, or raise maxSessions",
    262: _DEADLINE,
    263: _STANDALONE,
    290: _DEADLINE,
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


def store_away(error: Exception) -> StoreAway:
    """The exception for one of `DRIVER_ERRORS` that no plan causes; its message is one line for an operator.

    It is a StoreTimeout where the deadline passed. Raises an error that is not the driver's: a defect in the code.
    """
    line = _connection_line(error) or _client_line(error)
    return StoreTimeout(line) if line == _DEADLINE else StoreAway(line)


def _connection_line(error: Exception) -> str | None:
    match error:
        case NotPrimaryError():
            return _PRIMARY
        case ServerSelectionTimeoutError():
            return _with_words(
                "MongoDB cannot be reached: check that it runs, its address, the network and the TLS settings", error
            )
        case WaitQueueTimeoutError():
            return "all connections to MongoDB were in use for too long: raise maxPoolSize or run fewer lanes"
        case ConnectionFailure() if error.timeout:
            return _DEADLINE
        case ConnectionFailure():
            return "the connection to MongoDB broke: check the network and whether the server restarted"
        case OperationFailure():
            return _refusal(error)
        case TimeoutError():
            return _DEADLINE
        case _:
            return None


def _client_line(error: Exception) -> str:
    """The line for an error that the driver meets before it can speak to a server."""
    match error:
        case ConfigurationError() if is_lookup_failure(error):
            line = "MONGODB_URI: its host cannot be looked up: check the name and the name servers"
        case PyMongoError():
            line = "the MongoDB client cannot work: check the connection string and its options"
        case OSError():
            line = "the token with which MongoDB knows the worker cannot be read: mount its file"
        case ValueError() if _METADATA_SERVICE in str(error):
            line = "the token with which MongoDB knows the worker cannot be had from the cloud"
        case RuntimeError() if is_variable_missing(error):
            line = "MONGODB_URI: a variable that it needs is not set"
        case _:
            raise error
    return _with_words(line, error)


def is_lookup_failure(error: ConfigurationError) -> bool:
    """Whether the name server refused or did not answer the lookup of a `mongodb+srv://` host."""
    return isinstance(error.__cause__, DNSException | OSError)


def is_variable_missing(error: RuntimeError) -> bool:
    """Whether the driver misses the environment variable that names the token's file."""
    return "MONGODB-OIDC" in str(error)


def _with_words(line: str, error: Exception) -> str:
    return f"{line}. The driver says: {driver_words(error)}"


def result_of(error: Exception) -> TransactionResult:
    """The result of the transaction that met one of `MONGO_ERRORS`. Raises StoreAway if no plan causes the error."""
    if isinstance(error, ENCODING_ERRORS):
        return TransactionResult(end=TransactionEnd.REJECTED, reason=_encoding_reason(error))
    if is_commit_unknown(error):
        reason = _DEADLINE if _connection_line(error) == _DEADLINE else ""
        return TransactionResult(end=TransactionEnd.UNKNOWN, reason=reason)
    if isinstance(error, OperationFailure):
        result = _server_result(error)
        if result is not None:
            return result
    raise store_away(error) from error


def is_commit_unknown(error: BaseException) -> bool:
    """Whether the error leaves open if the transaction was committed."""
    return isinstance(error, PyMongoError) and error.has_error_label("UnknownTransactionCommitResult")


def _server_result(failure: OperationFailure) -> TransactionResult | None:
    """The transaction's result; None if no plan causes the failure."""
    write_errors = _write_errors(failure)
    codes = {error["code"] for error in write_errors} or {failure.code}
    if _DUPLICATE_KEY in codes:
        return _duplicate_result(write_errors)
    if _WRITE_CONFLICT in codes or failure.has_error_label("TransientTransactionError"):
        return TransactionResult(end=TransactionEnd.DISTURBED)
    for code in sorted(codes & _REJECTIONS.keys()):
        return TransactionResult(end=TransactionEnd.REJECTED, reason=_REJECTIONS[code])
    if write_errors and not codes & _REMEDIES.keys():
        return TransactionResult(
            end=TransactionEnd.REJECTED, reason=f"MongoDB refuses the document (code {min(codes)})"
        )
    return None


def _duplicate_result(write_errors: list[dict[str, Any]]) -> TransactionResult:
    """LOST for an index of ours, where the other writer's document will be read next time."""
    for error in write_errors:
        fields = list(error.get("keyPattern", {}))
        found = _INDEX_NAME.search(error.get("errmsg", ""))
        if error["code"] == _DUPLICATE_KEY and fields and fields not in _OUR_UNIQUE_KEYS and found:
            reason = f"the unique index {found[1]}, which is not the worker's, refuses it"
            return TransactionResult(end=TransactionEnd.REJECTED, reason=reason)
    return TransactionResult(end=TransactionEnd.LOST)


def _write_errors(failure: OperationFailure) -> list[dict[str, Any]]:
    return (failure.details or {}).get("writeErrors", []) if isinstance(failure, BulkWriteError) else []


def _encoding_reason(error: Exception) -> str:
    match error:
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
            return f"the document cannot be written as BSON ({type(error).__name__})"


def _refusal(failure: OperationFailure) -> str:
    write_errors = _write_errors(failure)
    code = write_errors[0]["code"] if write_errors else failure.code
    if code is None:
        return _with_words("the driver cannot answer MongoDB's authentication: check the credentials or role", failure)
    if code in AUTHENTICATION_CODES:
        return _with_words(_CREDENTIALS, failure)
    if code in _REMEDIES:
        return _REMEDIES[code]
    if failure.timeout:
        return _DEADLINE
    return f"MongoDB refuses to work (code {code}): look the code up in its log"
