"""Quotas and prices for `routing-sync size` and `make scale`, with their sources, as of one date.

Region us-east-1, on demand, US dollars, without taxes, free tiers and discounts. Prices change: check the sources
before use. Each entry says whether it was looked up in a copy of its source (of 2025 or 2026) or written from memory.
"""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

AS_OF: Final = "mid-2026"
HOURS_A_MONTH: Final = 730
SECONDS_A_MONTH: Final = HOURS_A_MONTH * 3_600


class Quota(Struct, frozen=True, kw_only=True):
    """A quota. `adjustable`: how AWS raises it. `looked_up`: read in a copy of the source, else written from memory."""

    name: str
    limit: float
    adjustable: str
    source: str
    looked_up: bool = True


_SQS_QUEUES: Final = "SQS Developer Guide, quotas-queues"
_SQS_MESSAGES: Final = "SQS Developer Guide, quotas-messages"
_SNS: Final = "AWS General Reference, SNS endpoints and quotas"

SQS_IN_FLIGHT: Final = Quota(
    name="SQS: messages in flight, a queue",
    limit=120_000,
    adjustable="by AWS Support",
    source=_SQS_QUEUES,
)
SQS_FIFO_CALLS: Final = Quota(
    name="SQS FIFO: calls/s of one action, a queue",
    limit=300,
    adjustable="by high-throughput mode only",
    source=_SQS_MESSAGES,
)
SQS_FIFO_MESSAGES: Final = Quota(
    name="SQS FIFO: messages/s in batches of ten, a queue",
    limit=3_000,
    adjustable="by high-throughput mode only",
    source=_SQS_MESSAGES,
)
SQS_FIFO_FAST_CALLS: Final = Quota(
    name="SQS FIFO, high throughput: calls/s of one action",
    limit=70_000,
    adjustable="by AWS Support",
    source=_SQS_MESSAGES,
)
SNS_PUBLISHED: Final = Quota(
    name="SNS: messages/s published, the account",
    limit=30_000,
    adjustable="by AWS Support",
    source=_SNS,
)
SNS_FIFO_PUBLISHED: Final = Quota(
    name="SNS FIFO: messages/s published",
    limit=3_000,
    adjustable="by FifoThroughputScope=MessageGroup",
    source=_SNS,
)
SNS_FIFO_FAST_PUBLISHED: Final = Quota(
    name="SNS FIFO, high throughput: messages/s, the account",
    limit=30_000,
    adjustable="by AWS Support",
    source=_SNS,
)
FARGATE_VCPUS: Final = Quota(
    name="Fargate: vCPUs on demand, a new account",
    limit=6,
    adjustable="in Service Quotas",
    source="ECS Developer Guide, service quotas",
    looked_up=False,
)
QUOTAS: Final = (
    SQS_IN_FLIGHT,
    SQS_FIFO_CALLS,
    SQS_FIFO_MESSAGES,
    SQS_FIFO_FAST_CALLS,
    SNS_PUBLISHED,
    SNS_FIFO_PUBLISHED,
    SNS_FIFO_FAST_PUBLISHED,
    FARGATE_VCPUS,
)

Tiers = Sequence[tuple[float, float]]
"""Price tiers: the upper limit in million calls a month, and dollars a million calls."""
# Looked up.
SQS_STANDARD: Final[Tiers] = ((100_000, 0.40), (200_000, 0.30), (float("inf"), 0.24))
SQS_FIFO: Final[Tiers] = ((float("inf"), 0.50),)
SNS_STANDARD: Final[Tiers] = ((float("inf"), 0.50),)
SNS_FIFO: Final[Tiers] = ((float("inf"), 0.30),)


class Prices(Struct, frozen=True, kw_only=True):
    """US dollars. The calls to SQS and SNS are priced a million; None: by AWS's tiers above."""

    sqs_million: float | None = None
    sns_million: float | None = None
    # Fargate's, looked up.
    vcpu_hour: float = 0.04048
    gb_hour: float = 0.004445
    container_gb: float = 2
    """The least memory that Fargate sells with one vCPU."""
    # From memory.
    sns_fifo_gb: float = 0.017
    """A gigabyte that is published to a FIFO topic. Delivery to standard queues is free."""
    mongod_node_hour: float = 0.4032
    """An EC2 instance of type r6g.2xlarge. MongoDB Atlas charges about as much again for operating it."""
    mongod_node_vcpus: float = 8
    storage_gb_month: float = 0.08
    """EBS gp3."""
    between_zones_gb: float = 0.02
    """0.01 out of one availability zone and 0.01 into the other."""
    metric_month: float = 0.05
    """A time series of Datadog's custom metrics, beyond those that a plan includes."""
    log_gb: float = 0.10
    """A gigabyte of log that Datadog takes in."""
    log_million: float = 1.70
    """A million log lines that Datadog indexes for 15 days."""

    def sqs(self, *, fifo: bool) -> Tiers:
        """The tiers of SQS's calls."""
        if self.sqs_million is not None:
            return ((float("inf"), self.sqs_million),)
        return SQS_FIFO if fifo else SQS_STANDARD

    def sns(self, *, fifo: bool) -> Tiers:
        """The tiers of SNS's publishes."""
        if self.sns_million is not None:
            return ((float("inf"), self.sns_million),)
        return SNS_FIFO if fifo else SNS_STANDARD


DEFAULT_PRICES: Final = Prices()

SOURCES: Final = (
    "aws.amazon.com/sqs/pricing, /sns/pricing, /fargate/pricing, /ec2/pricing, /ebs/pricing; datadoghq.com/pricing",
    "docs.aws.amazon.com: SQS Developer Guide (quotas-queues, quotas-messages), General Reference (sns), ECS (quotas)",
)


def dollars(calls_a_month: float, tiers: Tiers) -> float:
    """The price of a month's calls."""
    total, below = 0.0, 0.0
    for upto, price in tiers:
        millions = max(min(calls_a_month / 1e6, upto) - below, 0.0)
        total, below = total + millions * price, upto
    return total
