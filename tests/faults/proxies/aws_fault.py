"""The faults that the proxy can inject into a call to SQS or SNS.

| fault | call carried out | the client gets |
|---|---|---|
| `Refuse` | no | the service's error |
| `FailEntries` | except the failed entries of the batch | the service's answer with failed entries |
| `LoseAnswer` | yes | a broken connection |
| `AnswerWithError` | yes | the service's error |
| `Cut` | no | a broken connection |
| `Delay` | yes, later | the answer, later |
| `Hang` | no | no answer until the fault is lifted, then a broken connection |
| `Garbage` | no | status 200 with a page of HTML, as from an intermediary |
| `ClockSkew` | unless the signature is more than five minutes off the service's clock | another `Date` |
"""

from datetime import timedelta
from typing import Final

from msgspec import Struct, field

from tests.faults.proxies.aws_call import EntryFault

SKEW_MAX: Final = timedelta(minutes=5)
"""The difference that AWS accepts between the time of a signature and its own clock."""


class Refuse(Struct, frozen=True, kw_only=True):
    """Not carried out; answered with the service's error."""

    status: int
    code: str


class FailEntries(Struct, frozen=True, kw_only=True):
    """Each entry of a batch fails with probability `share`: it is not carried out, and the answer says so."""

    share: float = 1.0
    fault: EntryFault = field(default_factory=EntryFault)


class LoseAnswer(Struct, frozen=True):
    """Carried out; the connection breaks before the answer."""


class AnswerWithError(Struct, frozen=True, kw_only=True):
    """Carried out; answered with the service's error."""

    status: int
    code: str


class Cut(Struct, frozen=True):
    """Not carried out; the connection breaks."""


class Delay(Struct, frozen=True, kw_only=True):
    """Carried out after a delay."""

    seconds: float


class Hang(Struct, frozen=True):
    """Not carried out; no answer until the fault is lifted, then the connection breaks."""


class Garbage(Struct, frozen=True):
    """Not carried out; answered with status 200 and a page of HTML."""


class ClockSkew(Struct, frozen=True, kw_only=True):
    """The service's clock is ahead of this machine's by `by`, which may be negative."""

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
