"""Whether what the topics publish reaches the queue: the queue's policy, the subscriptions, and their filters.

A queue that lacks one of them stays empty, and nothing else says so. `routing-sync doctor` looks once, the delivery
watch (worker/sweeps/delivery_watch.py) every few minutes.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from botocore.parsers import ResponseParserError

from handlers.events.heartbeat import HEARTBEAT_NAME
from handlers.events.readers import READERS_BY_NAME
from worker.aws.checks.inspection import CallRefusal, CallResult, answered
from worker.aws.policies.queue import Allowed, denials_of_sending, sending_allowed
from worker.aws.policies.subscription_filter import judged_filter
from worker.aws.responses import reading_response
from worker.errors import first_line
from worker.findings import Finding, FindingCode, Result, Sound, Untried

if TYPE_CHECKING:
    from types_aiobotocore_sns.client import SNSClient
    from types_aiobotocore_sqs.client import SQSClient

_PREFIXES: Final = {
    "SNS_CONVERSATION_TOPIC_ARN": "kustomer.conversation.",
    "SNS_WORK_ITEM_TOPIC_ARN": "kustomer.work-item.",
}
_PAGES_MAX: Final = 100
_PROVISION: Final = "run `routing-sync provision`"
_PENDING: Final = "PendingConfirmation"
_UNHEARD_OF: Final = "routing-sync-doctor"
"""The end of a name that no event has: a filter by the beginnings of names lets it through."""


class QueueDelivery:
    """`worker.ports.topics.DeliveryInspection` of one queue. `topics`: the ARNs by their variables."""

    def __init__(self, sqs: "SQSClient", sns: "SNSClient", *, queue_url: str, topics: Mapping[str, str]) -> None:
        self._sqs = sqs
        self._sns = sns
        self._queue_url = queue_url
        self._topics = topics

    async def look(self) -> Sequence[Result]:
        """What stands between the topics and the queue. What AWS does not say is untried."""
        call = self._sqs.get_queue_attributes(QueueUrl=self._queue_url, AttributeNames=["Policy", "QueueArn"])
        answer = await answered(call)
        reason = answer.words
        if answer.refusal is None:
            try:
                with reading_response():
                    return await self.look_from(answer.response["Attributes"])
            except ResponseParserError as error:
                reason = first_line(error)
        return [Untried(subject="delivery to the queue", reason=reason)]

    async def look_from(self, queue: Mapping[str, str]) -> Sequence[Result]:
        """The same, with the queue's attributes as they were read."""
        arn = str(queue.get("QueueArn", ""))
        results: list[Result] = [*policy_results(queue.get("Policy"), arn, self._topics)]
        for variable, topic in self._topics.items():
            results += await self._subscription_results(variable, topic, arn)
        return results

    async def _subscription_results(self, variable: str, topic: str, queue_arn: str) -> Sequence[Result]:
        subject = f"subscription to {variable} {topic}"
        found = await self._subscription(subject, topic, queue_arn)
        if isinstance(found, Untried):
            return [found]
        if found is None:
            return [
                Finding(
                    code=FindingCode.SUBSCRIPTION_ABSENT,
                    subject=subject,
                    found="the queue is not subscribed, so none of the topic's events reaches it",
                    remedy=f"{_PROVISION}, or subscribe {queue_arn} to the topic",
                )
            ]
        if not found.startswith("arn:"):
            return [_pending(subject)]
        answer = await answered(self._sns.get_subscription_attributes(SubscriptionArn=found))
        if answer.refusal is not None:
            return [_untried(subject, answer, "sns:GetSubscriptionAttributes")]
        names = _names(variable, topic, self._topics)
        return subscription_results(subject, answer.response.get("Attributes") or {}, names)

    async def _subscription(self, subject: str, topic: str, queue_arn: str) -> str | Untried | None:
        """The ARN of the queue's subscription, another text while it is not confirmed; None: there is none."""
        token, pending = "", None
        for _ in range(_PAGES_MAX):
            more: Any = {"NextToken": token} if token else {}
            answer = await answered(self._sns.list_subscriptions_by_topic(TopicArn=topic, **more))
            if answer.refusal is not None:
                return _untried(subject, answer, "sns:ListSubscriptionsByTopic")
            for each in answer.response.get("Subscriptions", []):
                if each.get("Endpoint") == queue_arn:
                    arn = str(each.get("SubscriptionArn", ""))
                    if arn.startswith("arn:"):
                        return arn
                    pending = arn or _PENDING
            token = answer.response.get("NextToken") or ""
            if not token:
                return pending
        return Untried(subject=subject, reason=f"the topic has more than {_PAGES_MAX} pages of subscriptions")


def policy_results(policy: str | None, queue_arn: str, topics: Mapping[str, str]) -> Sequence[Result]:
    """What the queue's policy says about each topic."""
    subject = "queue policy"
    remedy = f"{_PROVISION}, or let sns.amazonaws.com send for the topic by aws:SourceArn"
    results: list[Result] = []
    try:
        allowed = {variable: sending_allowed(policy, queue_arn, topic) for variable, topic in topics.items()}
        denials = denials_of_sending(policy)
    except ValueError as error:
        found = f"it cannot be read, {error}"
        return [
            Finding(code=FindingCode.POLICY_UNREADABLE, subject=subject, found=found, remedy="correct or remove it")
        ]
    for variable, topic in topics.items():
        named = f"{subject} for {variable} {topic}"
        match allowed[variable]:
            case Allowed.YES:
                results.append(Sound(subject=named, found="the topic may send"))
            case Allowed.PERHAPS:
                found = "the topic may send only under conditions that only AWS can judge"
                perhaps = "see that they hold for the topic"
                code = FindingCode.TOPIC_PERHAPS_ALLOWED
                results.append(Finding(code=code, subject=named, found=found, remedy=perhaps))
            case Allowed.NO:
                found = (
                    "no statement lets the topic send" if policy else "the queue has no policy, so no topic may send"
                )
                code = FindingCode.TOPIC_NOT_ALLOWED
                results.append(Finding(code=code, subject=named, found=found, remedy=remedy))
    if denials:
        found = f"its Deny statements ({', '.join(denials)}) may forbid SNS to send, whatever another one allows"
        exempt = "except sns.amazonaws.com from them"
        results.append(Finding(code=FindingCode.SENDING_DENIED, subject=subject, found=found, remedy=exempt))
    return results


def subscription_results(subject: str, attributes: Mapping[str, str], names: Sequence[str]) -> Sequence[Result]:
    """What a subscription's attributes say; events of these names must come through."""
    if attributes.get(_PENDING, "false") == "true":
        return [_pending(subject)]
    policy, scope = attributes.get("FilterPolicy"), attributes.get("FilterPolicyScope")
    try:
        judged = judged_filter(policy, scope, names)
    except ValueError as error:
        found = f"its filter policy cannot be read, {error}"
        remedy = "set it anew: `routing-sync provision --filter`"
        return [Finding(code=FindingCode.FILTER_UNREADABLE, subject=subject, found=found, remedy=remedy)]
    if judged.blocked:
        by = "by the body" if scope == "MessageBody" else "by message attributes, which not every event has"
        blocked = ", ".join(judged.blocked)
        return [
            Finding(
                code=FindingCode.FILTER_BLOCKS,
                subject=subject,
                found=f"its filter policy filters {by}: {blocked} may not come through",
                remedy="`routing-sync provision --filter` sets one that lets through what the worker handles; "
                "or remove it",
            )
        ]
    narrow = [*_by_whole_names(subject, policy, scope, names), *_by_other_keys(subject, judged.others)]
    if narrow:
        return narrow
    raw = attributes.get("RawMessageDelivery", "false") == "true"
    how = "raw delivery" if raw else "wrapped in SNS notifications"
    return [Sound(subject=subject, found=f"{how}, {'filtered by name' if policy else 'no filter'}")]


def _by_whole_names(subject: str, policy: str | None, scope: str | None, names: Sequence[str]) -> Iterator[Finding]:
    """The worker handles some names, and notes the revisions of every other event of a conversation or work-item."""
    prefixes = {f"{name.rpartition('.')[0]}." for name in names if name != HEARTBEAT_NAME}
    unheard_of = [f"{prefix}{_UNHEARD_OF}" for prefix in sorted(prefixes)]
    blocked = judged_filter(policy, scope, unheard_of).blocked
    if blocked:
        kinds = ", ".join(name.removesuffix(_UNHEARD_OF) for name in blocked)
        yield Finding(
            code=FindingCode.FILTER_NARROW,
            subject=subject,
            found=f"its filter policy lets only some names of {kinds} through: a pair waits for the revisions of the "
            "other events as long as for lost ones",
            remedy="`routing-sync provision --filter` sets one by the beginnings of the names",
        )


def _by_other_keys(subject: str, keys: Sequence[str]) -> Iterator[Finding]:
    if keys:
        yield Finding(
            code=FindingCode.FILTER_NARROW,
            subject=subject,
            found=f"its filter policy also asks for {', '.join(keys)}: events without the right values are lost",
            remedy="see that every conversation's events have them, or filter by the name alone",
        )


def _names(variable: str, topic: str, topics: Mapping[str, str]) -> Sequence[str]:
    """The names of the events that the topic brings and the worker needs."""
    prefixes = [_PREFIXES[each] for each, arn in topics.items() if arn == topic]
    names = [name for name in READERS_BY_NAME if name.startswith(tuple(prefixes))]
    # The heartbeat goes to the topic of conversation events.
    return [*names, HEARTBEAT_NAME] if variable == "SNS_CONVERSATION_TOPIC_ARN" else names


def _pending(subject: str) -> Finding:
    return Finding(
        code=FindingCode.SUBSCRIPTION_PENDING,
        subject=subject,
        found="it is not confirmed, so the topic sends nothing",
        remedy="confirm it, or remove it and run `routing-sync provision` with the rights of the queue's account",
    )


def _untried(subject: str, answer: CallResult, action: str) -> Untried:
    if answer.refusal is CallRefusal.DENIED:
        return Untried(subject=subject, reason=f"the right {action} is missing, deploy/iam-doctor.json has it")
    if answer.refusal is CallRefusal.ABSENT:
        return Untried(subject=subject, reason="the topic does not exist")
    return Untried(subject=subject, reason=answer.words)
