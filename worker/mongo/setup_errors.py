"""Which errors of the driver no waiting ends, so that the start ends with them (worker/errors.py).

| at start | then |
|---|---|
| the server refuses the credentials, the rights or the mechanism | Misconfigured |
| an option that driver or server cannot work with; a package or variable that is missing | Misconfigured |
| every server responds, and none is a member of the replica set that the connection string names | Misconfigured |
| every server's certificate is untrusted or another host's | Misconfigured |
| a name that cannot be looked up; no response; a token that is not there yet; every other error | None: wait |

Once the worker has started all of these are `StoreAway`: an operator may be changing something just now, and the
messages in flight must not become dead letters for it.
"""

from collections.abc import Sequence
from typing import Final

from pymongo.errors import ConfigurationError, OperationFailure, ServerSelectionTimeoutError

from worker.errors import Misconfigured
from worker.mongo.driver_words import driver_words
from worker.mongo.errors import AUTHENTICATION_CODES, is_lookup_failure, is_variable_missing

_NOT_PERMITTED: Final = 13
_NO_MEMBER: Final = "No replica set members available for replica set name"
"""The driver dropped every server, because each one responded and is no member."""
_OTHER_SET: Final = "but this node belongs to a set named"
_NO_SET_YET: Final = f"{_OTHER_SET} 'None'"
"""A server whose replica set is not initiated yet."""
_CERTIFICATE_REFUSED: Final = "certificate verify failed"


def setup_error(error: Exception, server_errors: Sequence[Exception | None]) -> Misconfigured | None:
    """The error that ends the start; None if the error may pass. `server_errors` has the last error of each server."""
    remedy = _remedy(error, server_errors)
    return None if remedy is None else Misconfigured(f"MONGODB_URI: {remedy}. The driver says: {driver_words(error)}")


def _remedy(error: Exception, server_errors: Sequence[Exception | None]) -> str | None:
    match error:
        case OperationFailure() if error.code in AUTHENTICATION_CODES:
            return "MongoDB refuses the credentials: check user, password, authSource and authMechanism"
        case OperationFailure() if error.code == _NOT_PERMITTED:
            return "its user lacks a right: give it the role readWrite on MONGODB_DATABASE"
        case ConfigurationError() if not is_lookup_failure(error):
            return "it cannot work: check its options"
        case RuntimeError() if is_variable_missing(error):
            return "a variable that it needs is not set"
        case ServerSelectionTimeoutError():
            words = str(error)
            if words.startswith(_NO_MEMBER) or (_OTHER_SET in words and _NO_SET_YET not in words):
                return "no server is a member of its replicaSet: set it to the name that rs.status() shows as `set`"
            if server_errors and all(_CERTIFICATE_REFUSED in str(each) for each in server_errors):
                return "a certificate cannot be trusted: check tlsCAFile, and that the host's name stands in it"
    return None
