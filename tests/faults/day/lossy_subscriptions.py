"""One event in about ninety is lost between SNS and the queue, whoever published it: by a filter policy of the
subscription on the message's id, so that a test can tell which events were lost."""

import json
from typing import Any, Final

from tests.e2e.stage import Stage

_LOST: Final = ("3f", "a6", "c1")
"""A message is lost if its id ends like this: three of 256 endings, odd and even, as ids may be counted up by two."""
_DIGITS: Final = "0123456789abcdef"


def is_lost(message_id: str) -> bool:
    """Whether the subscription lets no message with this id through. The id ends in hexadecimal digits."""
    return message_id.endswith(_LOST)


def lose_events(stage: Stage) -> None:
    """Set the filter on the worker's subscriptions. The stage's spy receives nothing any more, which saves its work."""
    queue = stage.variables["SQS_QUEUE_URL"].rpartition("/")[2]
    policy = json.dumps({"id": [{"suffix": ending} for ending in delivered_endings()]})
    for topic in ("SNS_CONVERSATION_TOPIC_ARN", "SNS_WORK_ITEM_TOPIC_ARN"):
        answer: dict[str, Any] = stage.sns.list_subscriptions_by_topic(TopicArn=stage.variables[topic])
        for subscription in answer["Subscriptions"]:
            arn = subscription["SubscriptionArn"]
            if subscription["Endpoint"].rpartition(":")[2] != queue:
                stage.sns.unsubscribe(SubscriptionArn=arn)
                continue
            for name, value in (("FilterPolicyScope", "MessageBody"), ("FilterPolicy", policy)):
                stage.sns.set_subscription_attributes(SubscriptionArn=arn, AttributeName=name, AttributeValue=value)


def delivered_endings() -> list[str]:
    """The endings of all other ids, as few as will do: a policy holds at most 150."""
    last = {ending[1] for ending in _LOST}
    both = [first + second for second in sorted(last) for first in _DIGITS]
    return [digit for digit in _DIGITS if digit not in last] + [each for each in both if each not in _LOST]
