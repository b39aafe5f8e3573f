"""What the proxy can do to a call: each fault a value, one case or a suite of cases picks among them.

Refuse        not forwarded; the service's own error
FailEntries   some entries of a batch are not forwarded and told as failed, as the service tells it
LoseAnswer    carried out, and the connection breaks before the answer
Belie         carried out, and answered with an error
Cut           the connection breaks before anything was carried out
Delay         carried out, later
Hang          no answer until the fault is lifted, and not carried out
Garbage       not forwarded; an answer that is none, as from a box in between
OffClock      the service's clock is off: another Date, and signatures with more than five minutes between are refused
"""

from datetime import timedelta
from typing import Final

from msgspec import Struct, field

from tests.faults.proxies.aws_call import EntryFault

SKEW_MAX: Final = timedelta(minutes=5)
"""What AWS allows between a signature's time and its own."""


class Refuse(Struct, frozen=True, kw_only=True):
    """Not forwarded; the service's own error."""

    status: int
    code: str


class FailEntries(Struct, frozen=True, kw_only=True):
    """Each entry fails with chance `share`, is not forwarded, and is told as failed."""

    share: float = 1.0
    fault: EntryFault = field(default_factory=EntryFault)


class LoseAnswer(Struct, frozen=True):
    """Carried out, and the connection breaks before the answer."""


class AnswerWithError(Struct, frozen=True, kw_only=True):
    """Carried out, and answered with an error."""

    status: int
    code: str


class Cut(Struct, frozen=True):
    """The connection breaks before anything was carried out."""


class Delay(Struct, frozen=True, kw_only=True):
    """Carried out so many seconds later."""

    seconds: float


class Hang(Struct, frozen=True):
    """No answer until the fault is lifted; then the connection breaks, and nothing was carried out."""


class Garbage(Struct, frozen=True):
    """Status 200 and a page of HTML."""


class ClockSkew(Struct, frozen=True, kw_only=True):
    """The service's clock is so far ahead of ours (or behind)."""

    by: timedelta


Fault = Refuse | FailEntries | LoseAnswer | AnswerWithError | Cut | Delay | Hang | Garbage | ClockSkew

SQS_FAILING: Final = Refuse(status=500, code="InternalError")
SQS_UNAVAILABLE: Final = Refuse(status=503, code="ServiceUnavailable")
SQS_THROTTLING: Final = Refuse(status=403, code="RequestThrottled")
SNS_FAILING: Final = Refuse(status=500, code="InternalError")
SNS_UNAVAILABLE: Final = Refuse(status=503, code="ServiceUnavailable")
SNS_THROTTLING: Final = Refuse(status=429, code="Throttled")
SNS_SLOW_DOWN: Final = Refuse(status=400, code="Throttling")
SNS_FORBIDDING: Final = Refuse(status=403, code="AuthorizationError")
