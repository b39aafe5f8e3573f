"""Botocore's exceptions translated into the worker's (worker/errors.py).

| botocore raises | the worker raises |
|---|---|
| throttling codes, status 429 or 5xx, a response without an AWS error code | `QueueAway` or `TopicsAway` |
| no connection, a broken connection, a proxy or TLS error, a response that is not AWS's | `QueueAway` or `TopicsAway` |
| a refusal (no such queue, access denied), no credentials | at start `Misconfigured`, later `…Away` |
| every other error code | botocore's `ClientError`: the caller decides, or it is a defect in the code |

Error codes: "Common Errors" of the Amazon SQS and Amazon SNS API references; botocore's `retries/standard.py`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

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

_THROTTLING: Final = frozenset({
    "BandwidthLimitExceeded", "EC2ThrottledException", "KMS.ThrottlingException", "KMSThrottling", "KmsThrottled",
    "LimitExceededException", "OverLimit", "PriorRequestNotComplete", "ProvisionedThroughputExceededException",
    "RequestLimitExceeded", "RequestThrottled", "RequestThrottledException", "SlowDown", "Throttled",
    "ThrottledException", "Throttling", "ThrottlingException", "TooManyRequestsException",
})  # fmt: skip
_REFUSALS: Final = frozenset({
    "AccessDenied", "AccessDeniedException", "AuthorizationError", "ExpiredToken", "ExpiredTokenException",
    "IncompleteSignature", "InvalidAccessKeyId", "InvalidAddress", "InvalidClientTokenId", "InvalidSecurity",
    "InvalidSignatureException", "MissingAuthenticationToken", "NotAuthorized", "NotFound", "NotFoundException",
    "OptInRequired", "QueueDoesNotExist", "QueueDeletedRecently", "RequestExpired", "SignatureDoesNotMatch",
    "UnrecognizedClientException",
})  # fmt: skip
_REFUSAL_PREFIXES: Final = ("Kms", "KMS")
"""The queue's encryption key is disabled, pending deletion or in another account: an operator mends all of them."""
_UNREACHABLE: Final = (ConnectionError, HTTPClientError, ResponseParserError, OSError)
_NO_CREDENTIALS: Final = (NoCredentialsError, PartialCredentialsError)


@contextmanager
def translated_errors(subject: str, away: type[AwsAway], *, at_start: bool = False) -> Iterator[None]:
    """Run an AWS call and translate its errors by the table above. Each message begins with `subject`.

    With `at_start` a refusal is `Misconfigured`. Later it is `away`: an operator may be changing a policy just now, and
    the messages in flight must not become dead letters for it.
    """
    try:
        yield
    except ClientError as error:
        code, status = error_code(error), error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        line = f"{subject}: {code}: {error.response.get('Error', {}).get('Message', '')}"
        if code in _THROTTLING or _is_missing(code) or status >= 500 or status == 429:
            raise away(line) from error
        if code in _REFUSALS or code.startswith(_REFUSAL_PREFIXES) or status in {401, 403}:
            raise (Misconfigured if at_start else away)(line) from error
        raise
    except _NO_CREDENTIALS as error:
        line = (
            f"{subject}: no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the task a role"
        )
        raise (Misconfigured if at_start else away)(line) from error
    except (*_UNREACHABLE, CredentialRetrievalError) as error:
        raise away(f"{subject}: {first_line(error)}") from error


def error_code(error: ClientError) -> str:
    """The error code without the namespace that SQS's query protocol puts before it."""
    code = str(error.response.get("Error", {}).get("Code", "Unknown")).rpartition(".")[2]
    return "QueueDoesNotExist" if code == "NonExistentQueue" else code


def _is_missing(code: str) -> bool:
    """Whether botocore found no AWS error code in the response. The response is then a proxy's, and `code` is the HTTP
    status, empty, or `Unknown`."""
    return code.isdigit() or code in {"", "Unknown"}


def is_throttling(code: str) -> bool:
    """Whether the error code asks the caller to slow down and try again."""
    return code in _THROTTLING
