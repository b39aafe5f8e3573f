"""What a check of the set-up comes to: it is sound, it has a finding, or it could not be tried.

`routing-sync doctor` prints all three. While the worker runs, the delivery watch logs the findings.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from msgspec import Struct


class Severity(StrEnum):
    """`fault`: the process does not start, or loses or delays events for ever. `warning`: it works worse than it could,
    or may fail later."""

    FAULT = "fault"
    WARNING = "warning"


class FindingCode(StrEnum):
    """What can be found. The codes are stable: scripts and alerts may match them."""

    # Settings
    SETTING_WRONG = "SETTING_WRONG"
    """A variable is missing, has a value that is not allowed, or contradicts another one."""
    SETTING_MISTYPED = "SETTING_MISTYPED"
    """A variable that is no setting has nearly the name of one."""
    TOPICS_DOUBTFUL = "TOPICS_DOUBTFUL"
    """Both topics are the same one, or one has the name of the other."""
    HEARTBEAT_OFF = "HEARTBEAT_OFF"
    """Without heartbeats a quiet queue cannot be told from a silent SNS, so quiet times close no gaps."""

    # The process
    ADDRESS_TAKEN = "ADDRESS_TAKEN"
    """The address on which the process serves cannot be listened on."""
    EXTRA_MISSING = "EXTRA_MISSING"
    """The packages of the extra `api` are not installed."""
    AGENT_UNREACHABLE = "AGENT_UNREACHABLE"
    """The Datadog agent takes no metrics."""

    # AWS
    AWS_UNUSABLE = "AWS_UNUSABLE"
    """The configuration of AWS's library, its certificates or the proxy cannot be used."""
    AWS_AWAY = "AWS_AWAY"
    """A service of AWS does not answer."""
    CREDENTIALS_REFUSED = "CREDENTIALS_REFUSED"
    """There are no AWS credentials, or AWS refuses them."""
    RIGHT_MISSING = "RIGHT_MISSING"
    """The AWS identity may not make a call that the process makes."""
    CLOCK_OFF = "CLOCK_OFF"
    """This machine's clock is so far off that AWS refuses its signatures."""
    CLOCK_DRIFTS = "CLOCK_DRIFTS"
    """This machine's clock differs from AWS's or MongoDB's by seconds."""

    # The queue
    QUEUE_ABSENT = "QUEUE_ABSENT"
    """The queue does not exist."""
    REDRIVE_ABSENT = "REDRIVE_ABSENT"
    """The queue has no redrive policy: a message that always fails comes back for ever."""
    DEAD_LETTER_QUEUE_ABSENT = "DEAD_LETTER_QUEUE_ABSENT"
    """The redrive policy names a queue that does not exist."""
    ONE_DELIVERY = "ONE_DELIVERY"
    """A message that fails once is a dead letter."""
    FEW_DELIVERIES = "FEW_DELIVERIES"
    """A message has few deliveries before it is a dead letter."""
    VISIBILITY_ABOVE_GAP = "VISIBILITY_ABOVE_GAP"
    """An event in flight would be taken for lost."""
    VISIBILITY_SHORT = "VISIBILITY_SHORT"
    """A message may come back while it is being handled."""
    RETENTION_SHORT = "RETENTION_SHORT"
    """Messages of a queue are deleted before anybody can mend an outage or look at them."""
    DELIVERY_DELAYED = "DELIVERY_DELAYED"
    """The queue delays every message."""
    MESSAGE_SIZE_SHORT = "MESSAGE_SIZE_SHORT"
    """A queue refuses messages that SNS or the worker sends to it."""
    FIFO_THROUGHPUT = "FIFO_THROUGHPUT"
    """A FIFO queue has the throughput of one message group for all of them."""
    KEY_OF_AWS = "KEY_OF_AWS"
    """The queue is encrypted with a key whose policy cannot let SNS deliver."""
    KEY_UNUSABLE = "KEY_UNUSABLE"
    """The key of a queue is disabled, pending deletion or absent."""
    KEY_CLOSED = "KEY_CLOSED"
    """The policy of the queue's key does not let SNS use it."""

    # The delivery
    TOPIC_ABSENT = "TOPIC_ABSENT"
    """A topic does not exist."""
    POLICY_UNREADABLE = "POLICY_UNREADABLE"
    """The queue's policy is none by IAM's grammar."""
    TOPIC_NOT_ALLOWED = "TOPIC_NOT_ALLOWED"
    """The queue's policy does not let the topic send."""
    TOPIC_PERHAPS_ALLOWED = "TOPIC_PERHAPS_ALLOWED"
    """The queue's policy lets the topic send under conditions that only AWS can judge."""
    SENDING_DENIED = "SENDING_DENIED"
    """A Deny statement of the queue's policy may forbid SNS to send."""
    SUBSCRIPTION_ABSENT = "SUBSCRIPTION_ABSENT"
    """The queue is not subscribed to the topic."""
    SUBSCRIPTION_PENDING = "SUBSCRIPTION_PENDING"
    """The subscription is not confirmed."""
    FILTER_BLOCKS = "FILTER_BLOCKS"
    """The subscription's filter policy keeps events back that the worker needs."""
    FILTER_NARROW = "FILTER_NARROW"
    """The filter policy asks for whole names, or for other keys too: the events without them are lost."""
    FILTER_UNREADABLE = "FILTER_UNREADABLE"
    """The subscription's filter policy is no JSON object."""

    # MongoDB
    STORE_UNUSABLE = "STORE_UNUSABLE"
    """MongoDB refuses the credentials, or the connection string or its options cannot work."""
    STORE_AWAY = "STORE_AWAY"
    """MongoDB does not answer."""
    TRANSACTIONS_ABSENT = "TRANSACTIONS_ABSENT"
    """MongoDB is no replica set and no sharded cluster, and so has no transactions."""
    STORE_OLD = "STORE_OLD"
    """MongoDB is older than the releases on which this version was tried."""
    TRANSACTIONS_LONG = "TRANSACTIONS_LONG"
    """A killed worker's locks block the others for long."""
    STORE_RIGHT_MISSING = "STORE_RIGHT_MISSING"
    """The user of MongoDB may not do something that the process does."""
    CONNECTIONS_FEW = "CONNECTIONS_FEW"
    """MongoDB has fewer free connections than the process may open."""
    INDEX_IN_THE_WAY = "INDEX_IN_THE_WAY"
    """An index of others stands where one of ours must, or refuses documents of the worker."""
    INDEX_TO_BUILD = "INDEX_TO_BUILD"
    """An index is missing on a collection so large that the start takes long to build it."""
    DUPLICATE_WORK_ITEMS = "DUPLICATE_WORK_ITEMS"
    """Conversations have more than one active work-item."""
    FOREIGN_IDS = "FOREIGN_IDS"
    """A collection holds documents under ids that are no texts, and none under texts."""
    STRAY_ID = "STRAY_ID"
    """A collection holds a document under an id that is no text, beside others."""
    FOREIGN_FIELD = "FOREIGN_FIELD"
    """A field of another type makes the worker miss documents."""
    NO_CONVERSATIONS = "NO_CONVERSATIONS"
    """The database has no conversations, and the worker stores none from events."""

    @property
    def severity(self) -> Severity:
        """How bad it is."""
        return Severity.WARNING if self in _WARNINGS else Severity.FAULT


_WARNINGS: Final = frozenset({
    FindingCode.SETTING_MISTYPED, FindingCode.TOPICS_DOUBTFUL, FindingCode.HEARTBEAT_OFF,
    FindingCode.AGENT_UNREACHABLE, FindingCode.CLOCK_DRIFTS, FindingCode.FEW_DELIVERIES, FindingCode.VISIBILITY_SHORT,
    FindingCode.RETENTION_SHORT, FindingCode.DELIVERY_DELAYED, FindingCode.MESSAGE_SIZE_SHORT,
    FindingCode.FIFO_THROUGHPUT, FindingCode.TOPIC_PERHAPS_ALLOWED, FindingCode.SENDING_DENIED,
    FindingCode.FILTER_NARROW, FindingCode.STORE_OLD, FindingCode.TRANSACTIONS_LONG, FindingCode.CONNECTIONS_FEW,
    FindingCode.INDEX_TO_BUILD, FindingCode.STRAY_ID, FindingCode.FOREIGN_FIELD, FindingCode.NO_CONVERSATIONS,
})  # fmt: skip


class Finding(Struct, frozen=True, kw_only=True):
    """A finding: what was looked at, what was found there, and what to do. None of the texts holds a secret."""

    code: FindingCode
    subject: str
    found: str
    remedy: str

    @property
    def line(self) -> str:
        """The finding as one line."""
        return f"{self.subject}: {self.found}: {self.remedy}"


class Sound(Struct, frozen=True, kw_only=True):
    """What was looked at, and what stands there as it should."""

    subject: str
    found: str


class Untried(Struct, frozen=True, kw_only=True):
    """What could not be looked at, or not without harm, and why."""

    subject: str
    reason: str


Result = Finding | Sound | Untried


def findings_of(results: Iterable[Result]) -> list[Finding]:
    """The findings among the results."""
    return [result for result in results if isinstance(result, Finding)]
