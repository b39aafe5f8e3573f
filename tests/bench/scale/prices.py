"""Quotas and prices for `make scale` and docs/scale.md, with their sources, as of one date.

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
FARGATE_VCPU_HOUR: Final = 0.04048
FARGATE_GB_HOUR: Final = 0.004445
CONTAINER_GB: Final = 2
# From memory.
SNS_FIFO_GB: Final = 0.017
"""Dollars a gigabyte that is published to a FIFO topic. Delivery to standard queues is free."""
MONGOD_NODE_HOUR: Final = 0.4032
"""An EC2 instance of type r6g.2xlarge. MongoDB Atlas charges about as much again for operating it."""
MONGOD_NODE_VCPUS: Final = 8
STORAGE_GB_MONTH: Final = 0.08
"""EBS gp3."""
BETWEEN_ZONES_GB: Final = 0.02
"""0.01 out of one availability zone and 0.01 into the other."""

SOURCES: Final = (
    "aws.amazon.com/sqs/pricing, /sns/pricing, /fargate/pricing, /ec2/pricing, /ebs/pricing",
    "docs.aws.amazon.com: SQS Developer Guide (quotas-queues, quotas-messages), General Reference (sns), ECS (quotas)",
)


def dollars(calls_a_month: float, tiers: Tiers) -> float:
    """The price of a month's calls."""
    total, below = 0.0, 0.0
    for upto, price in tiers:
        millions = max(min(calls_a_month / 1e6, upto) - below, 0.0)
        total, below = total + millions * price, upto
    return total
