"""Botocore's exceptions translated into the worker's (worker/errors.py).

| botocore raises | the worker raises |
|---|---|
| throttling codes, status 429 or 5xx, a response without an AWS error code | `QueueAway` or `TopicsAway` |
| no connection, a broken connection, a proxy or TLS error, a response that is not AWS's | `QueueAway` or `TopicsAway` |
| a refusal because of the time of the signature: the machine's clock is off | `QueueAway` or `TopicsAway` |
| credentials that may come by themselves (`CredentialsAway`) | `QueueAway` or `TopicsAway` |
| a refusal (no such queue, access denied) | at start `Misconfigured`, later `…Away` |
| credentials or a configuration that an operator must mend | at start `Misconfigured`, later `…Away` |
| any other exception of the library, unknown ones included | `QueueAway` or `TopicsAway` |
| every other error code | botocore's `ClientError`: the caller decides, or it is a defect in the code |
| a call that our code makes wrongly (`_DEFECTS`) | not translated: a defect in the code |

Error codes: "Common Errors" of the Amazon SQS and Amazon SNS API references; the module `botocore.retries.standard`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from botocore import exceptions as library
from botocore.exceptions import BotoCoreError, ClientError
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
_OTHER_TIME: Final = frozenset({"RequestExpired", "RequestTimeTooSkewed"})
_OTHER_TIME_MESSAGES: Final = ("Signature expired", "Signature not yet current")
"""With the codes of a wrong secret key. "Troubleshooting AWS SigV4", IAM User Guide."""
KEYS_REFUSED: Final = frozenset({
    "ExpiredToken", "ExpiredTokenException", "InvalidAccessKeyId", "InvalidClientTokenId", "InvalidToken",
    "UnrecognizedClientException",
})  # fmt: skip
"""The access key or the session token is not valid any more, whatever their source said."""
DENIED: Final = frozenset({
    "AccessDenied", "AccessDeniedException", "AuthorizationError", "AuthorizationErrorException", "InvalidSecurity",
    "NotAuthorized", "UnauthorizedOperation",
})  # fmt: skip
"""The identity has not the right to make the call."""
_REFUSAL_PREFIXES: Final = ("Kms", "KMS")
"""The queue's encryption key is disabled, pending deletion or in another account: an operator mends all of them."""
_NAMESPACE: Final = "AWS.SimpleQueueService."
"""SQS's query protocol puts it before most error codes. The code of a key, `KMS.DisabledException`, keeps its dot."""
_NEEDS_OPERATOR: Final = (
    # Credentials
    library.LoginError, library.MissingDependencyException, library.NoAuthTokenError, library.NoCredentialsError,
    library.PartialCredentialsError, library.RefreshWithMFAUnsupportedError, library.SSOError,
    library.TokenRetrievalError, library.UnknownCredentialError,
    # The oldest releases of the library that we take have none.
    getattr(library, "UnknownTokenProviderError", library.TokenRetrievalError),
    # The library's configuration, from variables and profiles
    library.ConfigNotFound, library.ConfigParseError, library.InvalidChecksumConfigError, library.InvalidConfigError,
    library.InvalidDefaultsMode, library.InvalidEndpointDiscoveryConfigurationError,
    library.InvalidIMDSEndpointError, library.InvalidIMDSEndpointModeError, library.InvalidProxiesConfigError,
    library.InvalidRetryConfigurationError, library.InvalidS3UsEast1RegionalEndpointConfigError,
    library.InvalidSTSRegionalEndpointsConfigError, library.ProfileNotFound,
    # The region and the addresses
    library.BaseEndpointResolverError, library.EndpointProviderError, library.InvalidEndpointConfigurationError,
    library.InvalidRegionError, library.ServiceNotInRegionError, library.UnknownRegionError,
    # The installation
    library.DataNotFoundError, library.ApiVersionNotFoundError, library.MD5UnavailableError,
    library.UnsupportedServiceProtocolsError, library.UnsupportedSignatureVersionError,
)  # fmt: skip
_DEFECTS: Final = (
    library.InvalidExpressionError, library.MissingParametersError, library.OperationNotPageableError,
    library.PaginationError, library.ParamValidationError, library.StubResponseError,
    library.UnknownClientMethodError, library.UnknownServiceStyle, library.UnknownSignatureVersionError,
    library.UnseekableStreamError, library.ValidationError, library.WaiterConfigError, library.WaiterError,
)  # fmt: skip


class CredentialsAway(BotoCoreError):
    """There are no valid credentials now, and they may come by themselves (worker/aws/credentials.py)."""

    fmt = "no AWS credentials: {reason}"


class CredentialsRefused(CredentialsAway):
    """There are no valid credentials until an operator changes something; the message says what."""


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
        if is_overloaded(error):
            raise away(line) from error
        if is_of_another_time(error):
            raise away(f"{line}: this machine's clock is off: set it") from error
        if _is_refusal(code) or status in {401, 403}:
            raise (Misconfigured if at_start else away)(line) from error
        raise
    except (BotoCoreError, ResponseParserError, OSError) as error:
        if needs_operator(error):
            raise (Misconfigured if at_start else away)(f"{subject}: {first_line(error)}") from error
        if isinstance(error, _DEFECTS):
            raise
        raise away(f"{subject}: {_with_cause(error)}") from error


def needs_operator(error: Exception) -> bool:
    """Whether the library's exception stays until an operator changes credentials, configuration or installation."""
    return isinstance(error, (CredentialsRefused, *_NEEDS_OPERATOR))


def is_overloaded(error: ClientError) -> bool:
    """Whether the answer says that the service cannot work now, or is no answer of AWS's."""
    code, status = error_code(error), error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return code in _THROTTLING or _is_missing(code) or status >= 500 or status == 429


def error_code(error: ClientError) -> str:
    """The error code without the namespace that SQS's query protocol puts before it."""
    code = without_namespace(error.response.get("Error", {}).get("Code", "Unknown"))
    return "QueueDoesNotExist" if code == "NonExistentQueue" else code


def without_namespace(code: object) -> str:
    """The error code of a call or of an entry without the namespace of SQS's query protocol."""
    return str(code).removeprefix(_NAMESPACE)


def is_of_another_time(error: ClientError) -> bool:
    """Whether AWS refused the time of the signature, which passes once the clock of this machine has been set."""
    message = str(error.response.get("Error", {}).get("Message", ""))
    return error_code(error) in _OTHER_TIME or message.startswith(_OTHER_TIME_MESSAGES)


def _is_missing(code: str) -> bool:
    """Whether botocore found no AWS error code in the response. The response is then a proxy's, and `code` is the HTTP
    status, empty, or `Unknown`."""
    return code.isdigit() or code in {"", "Unknown"}


def is_throttling(code: str) -> bool:
    """Whether the error code asks the caller to slow down and try again."""
    return code in _THROTTLING


def may_pass(code: str) -> bool:
    """Whether the same entry can succeed at a later try, whatever `SenderFault` says: the service throttles, or it
    refuses for a reason that an operator mends."""
    return is_throttling(code) or _is_refusal(code)


def _is_refusal(code: str) -> bool:
    return code in _REFUSALS or code.startswith(_REFUSAL_PREFIXES)


def _with_cause(error: Exception) -> str:
    """The error's first line, and why. Botocore's "Could not connect to the endpoint URL" leaves the cause out: an
    unknown host, a port where no server listens, a process without a free file descriptor."""
    line = first_line(error)
    cause = getattr(error, "kwargs", {}).get("error") if isinstance(error, library.EndpointConnectionError) else None
    # Aiohttp breaks the line before the reason.
    return f"{line}: {' '.join(str(cause).split()) or type(cause).__name__}" if isinstance(cause, Exception) else line
