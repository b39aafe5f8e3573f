"""NEW FILE."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass


class AwsAway(Exception):
    """A service cannot be used now. No message's fault: wait and try again."""


class QueueAway(AwsAway):
    """SQS cannot be used now."""


class TopicsAway(AwsAway):
    """SNS cannot be used now."""


class Misconfigured(Exception):
    """The worker cannot start as it is set up; the message is one line with the remedy."""


def first_line(error: BaseException) -> str:
    """An exception in one line."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


class StoreUnfit(Exception):
    """The database can be reached and cannot carry the store; the message is one line with the remedy."""


class WorkerFailed(Exception):
    """The worker ended for a reason that is not a signal; the message is one line for a person."""
