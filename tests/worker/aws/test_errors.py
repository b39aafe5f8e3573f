"""Row 6: every exception of botocore's that is no answer of the service has its place in the worker's errors."""

import inspect
import string
from typing import Any

import pytest
from botocore import exceptions as library
from botocore.discovery import EndpointDiscoveryRefreshFailed
from botocore.exceptions import BotoCoreError

from worker.aws.errors import CredentialsAway, CredentialsRefused, translated_errors
from worker.errors import Misconfigured, QueueAway

DEFECTS = {
    "AliasConflictParameterError", "InvalidExpressionError", "MissingParametersError", "OperationNotPageableError",
    "PaginationError", "ParamValidationError", "RangeError", "StubAssertionError", "StubResponseError",
    "UnStubbedResponseError", "UnknownClientMethodError", "UnknownKeyError", "UnknownParameterError",
    "UnknownServiceStyle", "UnknownSignatureVersionError", "UnseekableStreamError", "ValidationError",
    "WaiterConfigError", "WaiterError",
}  # fmt: skip
"""The library is called wrongly: no change outside of the code mends these."""

MAY_PASS = {
    # No answer, or none of the service's
    "AwsChunkedWrapperError", "CapacityNotAvailableError", "ChecksumError", "ConnectTimeoutError",
    "ConnectionClosedError", "ConnectionError", "EndpointConnectionError", "FlexibleChecksumError", "HTTPClientError",
    "IncompleteReadError", "ProxyConnectionError", "ReadTimeoutError", "ResponseStreamingError", "SSLError",
    # Credentials that may come
    "CredentialRetrievalError", "MetadataRetrievalError",
    # Of S3 alone
    "InvalidDNSNameError", "InvalidHostLabelError", "InvalidS3AddressingStyleError",
    "UnsupportedOutpostResourceError", "UnsupportedS3AccesspointConfigurationError", "UnsupportedS3ArnError",
    "UnsupportedS3ConfigurationError", "UnsupportedS3ControlArnError", "UnsupportedS3ControlConfigurationError",
    # The base of all
    "BotoCoreError",
}  # fmt: skip

ALL = [
    each for _, each in inspect.getmembers(library, inspect.isclass) if issubclass(each, BotoCoreError)
]  # `ClientError` and its subclasses are the service's answers.


def _made(kind: type[BotoCoreError]) -> BotoCoreError:
    """An exception of that class with a value for each field of its message."""
    values: dict[str, Any] = {name: f"the {name}" for _, name, _, _ in string.Formatter().parse(kind.fmt) if name}
    return kind(**values, **({"last_response": {}} if kind is library.WaiterError else {}))


def _translated(error: Exception, *, at_start: bool) -> type[Exception]:
    """The class of the error that comes out of a call which raises this one."""
    with pytest.raises(Exception, match=r".") as raised, translated_errors("receiving", QueueAway, at_start=at_start):
        raise error
    if raised.type is not type(error):
        assert str(raised.value).startswith("receiving: ")
        assert "\n" not in str(raised.value)
    return raised.type


def test_row_6_every_exception_of_the_library_is_in_one_of_the_lists() -> None:
    """A new version of the library may bring a new exception, which then counts as the service being away."""
    names = {each.__name__ for each in ALL}
    assert names >= DEFECTS | MAY_PASS
    assert not DEFECTS & MAY_PASS
    assert len(ALL) > 80


@pytest.mark.parametrize("kind", ALL)
def test_row_6_an_exception_of_the_library_is_the_service_being_away(kind: type[BotoCoreError]) -> None:
    expected = kind if kind.__name__ in DEFECTS else QueueAway
    assert _translated(_made(kind), at_start=False) is expected


@pytest.mark.parametrize("kind", ALL)
def test_row_6_at_the_start_an_operator_is_asked_to_mend_what_does_not_pass(kind: type[BotoCoreError]) -> None:
    if kind.__name__ in DEFECTS:
        expected: type[Exception] = kind
    elif kind.__name__ in MAY_PASS:
        expected = QueueAway
    else:
        expected = Misconfigured
    assert _translated(_made(kind), at_start=True) is expected


class _OfALaterVersion(BotoCoreError):
    fmt = "something new\nin two lines"


@pytest.mark.parametrize("at_start", [True, False])
@pytest.mark.parametrize("error", [_OfALaterVersion(), EndpointDiscoveryRefreshFailed(), OSError("no route")], ids=repr)
def test_row_6_an_unknown_exception_is_the_service_being_away(error: Exception, *, at_start: bool) -> None:
    assert _translated(error, at_start=at_start) is QueueAway


def test_row_6_credentials_that_may_come_are_waited_for_at_the_start() -> None:
    assert _translated(CredentialsAway(reason="r"), at_start=True) is QueueAway
    assert _translated(CredentialsRefused(reason="r"), at_start=True) is Misconfigured
    assert _translated(CredentialsRefused(reason="r"), at_start=False) is QueueAway
