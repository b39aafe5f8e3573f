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

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from tests.faults.aws_call import EntryFault

SKEW_MAX: Final = timedelta(minutes=5)
"""What AWS allows between a signature's time and its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refuse:
    """Not forwarded; the service's own error."""

    status: int
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FailEntries:
    """Each entry fails with chance `share`, is not forwarded, and is told as failed."""

    share: float = 1.0
    fault: EntryFault = field(default_factory=EntryFault)


@dataclass(frozen=True, slots=True)
class LoseAnswer:
    """Carried out, and the connection breaks before the answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Belie:
    """Carried out, and answered with an error."""

    status: int
    code: str


@dataclass(frozen=True, slots=True)
class Cut:
    """The connection breaks before anything was carried out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delay:
    """Carried out so many seconds later."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Hang:
    """No answer until the fault is lifted; then the connection breaks, and nothing was carried out."""


@dataclass(frozen=True, slots=True)
class Garbage:
    """Status 200 and a page of HTML."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OffClock:
    """The service's clock is so far ahead of ours (or behind)."""

    by: timedelta


Fault = Refuse | FailEntries | LoseAnswer | Belie | Cut | Delay | Hang | Garbage | OffClock

SQS_FAILING: Final = Refuse(status=500, code="InternalError")
SQS_UNAVAILABLE: Final = Refuse(status=503, code="ServiceUnavailable")
SQS_THROTTLING: Final = Refuse(status=403, code="RequestThrottled")
SNS_FAILING: Final = Refuse(status=500, code="InternalError")
SNS_UNAVAILABLE: Final = Refuse(status=503, code="ServiceUnavailable")
SNS_THROTTLING: Final = Refuse(status=429, code="Throttled")
SNS_SLOW_DOWN: Final = Refuse(status=400, code="Throttling")
SNS_FORBIDDING: Final = Refuse(status=403, code="AuthorizationError")
