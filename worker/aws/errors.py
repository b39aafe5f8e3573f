"""NEW FILE."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from botocore.exceptions import (
    ClientError,
    ConnectionError,  # noqa: A004 - botocore's own name for it
    CredentialRetrievalError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
)
from botocore.parsers import ResponseParserError

from worker.errors import AwsAway, Misconfigured, first_line

if TYPE_CHECKING:
    pass


_THROTTLED: Final = frozenset({
    "BandwidthLimitExceeded", "EC2ThrottledException", "KMS.ThrottlingException", "KMSThrottling", "KmsThrottled",
    "LimitExceededException", "OverLimit", "PriorRequestNotComplete", "ProvisionedThroughputExceededException",
    "RequestLimitExceeded", "RequestThrottled", "RequestThrottledException", "SlowDown", "Throttled",
    "ThrottledException", "Throttling", "ThrottlingException", "TooManyRequestsException",
})  # fmt: skip
_REFUSED: Final = frozenset({
    "AccessDenied", "AccessDeniedException", "AuthorizationError", "ExpiredToken", "ExpiredTokenException",
    "IncompleteSignature", "InvalidAccessKeyId", "InvalidAddress", "InvalidClientTokenId", "InvalidSecurity",
    "InvalidSignatureException", "MissingAuthenticationToken", "NotAuthorized", "NotFound", "NotFoundException",
    "OptInRequired", "QueueDoesNotExist", "QueueDeletedRecently", "RequestExpired", "SignatureDoesNotMatch",
    "UnrecognizedClientException",
})  # fmt: skip
_REFUSED_PREFIXES: Final = ("Kms", "KMS")
"""The queue's key is disabled, pending deletion, not ours: an operator's to mend, whichever it is."""
_UNREACHABLE: Final = (ConnectionError, HTTPClientError, ResponseParserError, OSError)
_NO_CREDENTIALS: Final = (NoCredentialsError, PartialCredentialsError)


@contextmanager
def translated_errors(what: str, away: type[AwsAway], *, at_start: bool = False) -> Iterator[None]:
    """Run an AWS call under the exceptions of this file's head; `what` says in words what was called.

    A refusal (no such queue, access denied) is `Misconfigured` at start; later it is `away`: an operator is changing
    something, and messages in hand must not be lost over it.
    """
    try:
        yield
    except ClientError as error:
        code, status = error_code(error), error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        line = f"{what}: {code}: {error.response.get('Error', {}).get('Message', '')}"
        if code in _THROTTLED or _untold(code) or status >= 500 or status == 429:
            raise away(line) from error
        if code in _REFUSED or code.startswith(_REFUSED_PREFIXES) or status in {401, 403}:
            raise (Misconfigured if at_start else away)(line) from error
        raise
    except _NO_CREDENTIALS as error:
        line = f"{what}: no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the task a role"
        raise (Misconfigured if at_start else away)(line) from error
    except (*_UNREACHABLE, CredentialRetrievalError) as error:
        raise away(f"{what}: {first_line(error)}") from error


def error_code(error: ClientError) -> str:
    """The error code without the namespace that SQS' older protocol puts before it."""
    code = str(error.response.get("Error", {}).get("Code", "Unknown")).rpartition(".")[2]
    return "QueueDoesNotExist" if code == "NonExistentQueue" else code


def _untold(code: str) -> bool:
    """AWS tells a code. Where none is told, somebody between us answers, and the library puts a number or nothing."""
    return code.isdigit() or code in {"", "Unknown"}


def is_throttling(code: str) -> bool:
    """Whether the code means: later."""
    return code in _THROTTLED
