"""Quotas and prices that docs/scale.md reckons with: each as of a date, from a page, and not asked for again.

Region us-east-1, on demand, US dollars, without taxes, free tiers and discounts. Prices change: see the pages first.
Those that were looked up in copies of the pages, of 2025 and 2026, say so; the others were written down from memory.
"""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

AS_OF: Final = "mid-2026"
HOURS_A_MONTH: Final = 730
SECONDS_A_MONTH: Final = HOURS_A_MONTH * 3_600


class Quota(Struct, frozen=True, kw_only=True):
    """`adjustable`: how it can be raised. `looked_up`: in a copy of the page, else from memory."""

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
    adjustable="by high-throughput mode, not else",
    source=_SQS_MESSAGES,
)
SQS_FIFO_MESSAGES: Final = Quota(
    name="SQS FIFO: messages/s in tens, a queue",
    limit=3_000,
    adjustable="by high-throughput mode, not else",
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
"""Up to so many million calls a month, dollars a million."""
# Looked up: calls of SQS and SNS, Fargate.
SQS_STANDARD: Final[Tiers] = ((100_000, 0.40), (200_000, 0.30), (float("inf"), 0.24))
SQS_FIFO: Final[Tiers] = ((float("inf"), 0.50),)
SNS_STANDARD: Final[Tiers] = ((float("inf"), 0.50),)
SNS_FIFO: Final[Tiers] = ((float("inf"), 0.30),)
FARGATE_VCPU_HOUR: Final = 0.04048
FARGATE_GB_HOUR: Final = 0.004445
CONTAINER_GB: Final = 2
# From memory.
SNS_FIFO_GB: Final = 0.017
"""Dollars a gigabyte published to a FIFO topic. Delivery to standard queues costs nothing."""
MONGOD_NODE_HOUR: Final = 0.4032
"""An r6g.2xlarge of EC2. MongoDB Atlas asks about as much again for running it."""
MONGOD_NODE_VCPUS: Final = 8
STORAGE_GB_MONTH: Final = 0.08
"""gp3."""
BETWEEN_ZONES_GB: Final = 0.02
"""Out of one availability zone and into the other, each 0.01."""

SOURCES: Final = (
    "aws.amazon.com/sqs/pricing, /sns/pricing, /fargate/pricing, /ec2/pricing, /ebs/pricing",
    "docs.aws.amazon.com: SQS Developer Guide (quotas-queues, quotas-messages), General Reference (sns), ECS (quotas)",
)


def dollars(calls_a_month: float, tiers: Tiers) -> float:
    """What so many calls cost."""
    total, below = 0.0, 0.0
    for upto, price in tiers:
        millions = max(min(calls_a_month / 1e6, upto) - below, 0.0)
        total, below = total + millions * price, upto
    return total
