"""The worker's errors: one tree, in one file, without any library of an adapter.

    Exception
    ├─ StoreAway            MongoDB cannot be used now; the use case's own error, in handlers/ports.py
    │  └─ StoreTimeout      it did not answer within the deadline
    │     └─ CommitTimeout  it answered the load, and then not the commit
    ├─ AwsAway              an AWS service cannot be used now
    │  ├─ QueueAway         SQS
    │  └─ TopicsAway        SNS
    ├─ SetupError           the worker cannot start as it is set up
    │  ├─ Misconfigured     a setting, a queue, a topic or a credential is wrong
    │  └─ StoreUnfit        the database lacks what the store needs
    ├─ WorkerFailed         the worker ended for a reason that is not a signal
    └─ ReplayError          replay cannot go on, or not with one pair
       ├─ InputNotKept      the input cannot be read a second time
       ├─ NotReenacted      a captured write makes no sense on the simulated document
       └─ TooManyStates     a pair has more interleavings than the limit allows

No message causes an `…Away` error (`SERVICE_AWAY`): the caller waits and tries again. A `SetupError` is never retried:
an operator must change something. Each adapter translates its library's exceptions into the tree (worker/aws/errors.py,
worker/mongo/errors.py), so that no other room imports botocore or pymongo to catch one. An exception outside the tree
is a defect in the code; worker/runtime/unexpected.py catches it.

Expected results are values, not exceptions: a refused entry (`RefusedEntry`), a conflict (`CommitResult`), a rejected
plan (`PlanRejected`).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from handlers.ports import StoreAway


class AwsAway(Exception):
    """An AWS service cannot be used now: unreachable, overloaded, or refusing for a reason that an operator mends."""


class QueueAway(AwsAway):
    """SQS cannot be used now."""


class TopicsAway(AwsAway):
    """SNS cannot be used now."""


SERVICE_AWAY: Final = (StoreAway, AwsAway)
"""The errors after which the caller waits and tries again, for `except` and `isinstance`."""


class SetupError(Exception):
    """The worker cannot start as it is set up; the message is one line with the remedy."""


class Misconfigured(SetupError):
    """A setting, a queue, a topic or a credential is wrong."""


@contextmanager
def thread_limit_named() -> Iterator[None]:
    """Raise Misconfigured with the remedy where the system refuses a thread that the context starts."""
    try:
        yield
    except RuntimeError as error:
        raise Misconfigured(
            "the system starts no more threads: raise the limit of processes (`pids.max` of the container, `ulimit -u`)"
        ) from error


class StoreUnfit(SetupError):
    """The database responds and lacks what the store needs: transactions, or data that allows the indexes."""


class WorkerFailed(Exception):
    """The worker ended for a reason that is not a signal; the message is one line for a person."""


class ReplayError(Exception):
    """Replay cannot go on, or not with one pair; the message says why."""


class InputNotKept(ReplayError):
    """The copy of an input that can be read only once cannot be written; the message is one line with the remedy."""


class NotReenacted(ReplayError):
    """A captured write makes no sense on the simulated document; the message says why."""


class TooManyStates(ReplayError):
    """A pair has more interleavings than the limit allows."""


def first_line(error: BaseException) -> str:
    """The exception's message up to its first line break, or the name of its class where the message is empty."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
