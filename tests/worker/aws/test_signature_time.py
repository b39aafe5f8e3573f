"""AWS refuses the time of a signature: the worker waits, at start too, for this machine's clock to be set."""

import pytest
from botocore.exceptions import ClientError

from worker.aws.errors import translated_errors
from worker.errors import Misconfigured, QueueAway

EXPIRED = "Signature expired: 20261126T200000Z is now earlier than 20261126T205500Z (20261126T210000Z - 5 min.)"
EARLY = "Signature not yet current: 20261126T210000Z is still later than 20261126T200500Z (20261126T200000Z + 5 min.)"
WRONG_KEY = "The request signature we calculated does not match the signature you provided."


def refusal(code: str, message: str) -> ClientError:
    return ClientError(
        {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": 403}},  # type: ignore[typeddict-item]
        "GetQueueAttributes",
    )


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("InvalidSignatureException", EXPIRED),
        ("InvalidSignatureException", EARLY),
        ("SignatureDoesNotMatch", EXPIRED),
        ("RequestTimeTooSkewed", "The difference between the request time and the current time is too large."),
        ("RequestExpired", "Request has expired."),
    ],
)
def test_a_clock_that_is_off_is_waited_for_at_start(code: str, message: str) -> None:
    with (
        pytest.raises(QueueAway, match="this machine's clock is off: set it"),
        translated_errors("SQS_QUEUE_URL u", QueueAway, at_start=True),
    ):
        raise refusal(code, message)


@pytest.mark.parametrize("code", ["InvalidSignatureException", "SignatureDoesNotMatch"])
def test_a_wrong_secret_key_ends_the_start(code: str) -> None:
    with pytest.raises(Misconfigured, match="does not match"), translated_errors("u", QueueAway, at_start=True):
        raise refusal(code, WRONG_KEY)
