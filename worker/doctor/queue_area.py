"""The queue, its dead-letter queue, and their encryption keys."""

from collections.abc import Mapping
from typing import Final

import orjson

from worker.aws.checks.inspection import CallRefusal, CallResult, Inspector
from worker.aws.policies.key import sns_may_use
from worker.doctor.limits import gap_finding, is_visibility_short
from worker.doctor.notebook import Notebook
from worker.doctor.settings_area import UsableSettings
from worker.findings import FindingCode
from worker.settings.settings import Settings

_PROVISION: Final = "run `routing-sync provision`"
_DELIVERIES_MIN: Final = 5
_RETENTION_S_MIN: Final = 345_600
"""Four days, SQS's own default: a long weekend."""
_SNS_BYTES: Final = 262_144
_KEY_OF_AWS: Final = "alias/aws/sqs"
_DAY_S: Final = 86_400


async def examine_queue(
    notebook: Notebook, inspector: Inspector, usable: UsableSettings
) -> tuple[Mapping[str, str] | None, str | None]:
    """Note what the queue is like. Returns its attributes, if they can be read, and its dead-letter queue's ARN."""
    url = usable.settings.sqs_queue_url
    unusable = usable.unusable("SQS_QUEUE_URL")
    if unusable is not None:
        notebook.untried("queue", unusable)
        return None, None
    subject = f"SQS_QUEUE_URL {url}"
    answer = await notebook.within_time(subject, inspector.queue_attributes(url))
    if answer is None:
        remedy = "check the network, AWS_REGION and AWS_ENDPOINT_URL"
        notebook.finding(FindingCode.AWS_AWAY, "SQS", f"no answer within {notebook.check_s:g} s", remedy)
        return None, None
    if answer.refusal is not None:
        _note_refusal(notebook, subject, answer, FindingCode.QUEUE_ABSENT, "check the queue's URL; " + _PROVISION)
        return None, None
    attributes: Mapping[str, str] = {name: str(value) for name, value in answer.response.items()}
    _note_attributes(notebook, usable.settings, attributes)
    dead_letter_arn = _note_redrive(notebook, attributes)
    if dead_letter_arn is not None:
        await _examine_dead_letters(notebook, inspector, dead_letter_arn, attributes)
    await _examine_key(notebook, inspector, "queue", attributes, sns_delivers=True)
    return attributes, dead_letter_arn


def _note_refusal(notebook: Notebook, subject: str, answer: CallResult, absent: FindingCode, remedy: str) -> None:
    match answer.refusal:
        case CallRefusal.ABSENT:
            notebook.finding(absent, subject, answer.words, remedy)
        case CallRefusal.AWAY:
            mend = "check the network, the proxy, AWS_REGION and AWS_ENDPOINT_URL"
            notebook.finding(FindingCode.AWS_AWAY, "SQS", answer.words, mend)
        case CallRefusal.CREDENTIALS:
            mend = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the task its role"
            notebook.finding(FindingCode.CREDENTIALS_REFUSED, subject, answer.words, mend)
        case _:
            notebook.untried(subject, answer.words)


def _note_attributes(notebook: Notebook, settings: Settings, attributes: Mapping[str, str]) -> None:
    visibility_s = _number(attributes, "VisibilityTimeout", 30)
    beyond = gap_finding(settings, visibility_s)
    if beyond is not None:
        notebook.take([beyond])
    elif is_visibility_short(settings, visibility_s):
        deadline_s = settings.store_deadline_seconds
        found = f"{visibility_s} s, shorter than twice STORE_DEADLINE_SECONDS {deadline_s:g}"
        remedy = f"raise it to {2 * deadline_s:g} s or more, or lower the deadline"
        notebook.finding(FindingCode.VISIBILITY_SHORT, "queue visibility timeout", found, remedy)
    else:
        notebook.sound("queue visibility timeout", f"{visibility_s} s")
    _note_retention(notebook, "queue", attributes)
    if attributes.get("DelaySeconds", "0") != "0":
        found = f"each message is delayed for {attributes['DelaySeconds']} s"
        notebook.finding(FindingCode.DELIVERY_DELAYED, "queue delay", found, "set DelaySeconds to 0")
    size = _number(attributes, "MaximumMessageSize", _SNS_BYTES)
    if size < _SNS_BYTES:
        found = f"{size} bytes: SNS's larger messages are lost"
        remedy = f"set MaximumMessageSize to {_SNS_BYTES} or more"
        notebook.finding(FindingCode.MESSAGE_SIZE_SHORT, "queue message size", found, remedy)
    if attributes.get("FifoQueue") == "true" and attributes.get("FifoThroughputLimit") != "perMessageGroupId":
        found = "all message groups share 300 calls a second"
        remedy = f"{_PROVISION} --fifo, or set FifoThroughputLimit to perMessageGroupId"
        notebook.finding(FindingCode.FIFO_THROUGHPUT, "queue throughput", found, remedy)


def _note_retention(notebook: Notebook, name: str, attributes: Mapping[str, str]) -> None:
    retention_s = _number(attributes, "MessageRetentionPeriod", _RETENTION_S_MIN)
    subject = f"{name} retention"
    if retention_s < _RETENTION_S_MIN:
        found = f"{retention_s} s: messages are deleted after {retention_s / _DAY_S:.1f} days, handled or not"
        notebook.finding(FindingCode.RETENTION_SHORT, subject, found, f"{_PROVISION}, which sets 14 days")
    else:
        notebook.sound(subject, f"{retention_s / _DAY_S:g} days")


def _note_redrive(notebook: Notebook, attributes: Mapping[str, str]) -> str | None:
    """Note the redrive policy; returns the ARN of the dead-letter queue."""
    subject = "queue redrive policy"
    try:
        redrive = orjson.loads(attributes.get("RedrivePolicy", "null"))
    except orjson.JSONDecodeError:
        redrive = None
    if not isinstance(redrive, dict) or "deadLetterTargetArn" not in redrive:
        found = "there is none, so a message that always fails would be received for ever"
        remedy = f"{_PROVISION}, or set the queue's RedrivePolicy"
        notebook.finding(FindingCode.REDRIVE_ABSENT, subject, found, remedy)
        return None
    count = _number(redrive, "maxReceiveCount", _DELIVERIES_MIN)
    remedy = "set maxReceiveCount to 10, as `routing-sync provision` does"
    if count == 1:
        found = "maxReceiveCount is 1: a message that fails once, or whose worker is stopped, is a dead letter"
        notebook.finding(FindingCode.ONE_DELIVERY, subject, found, remedy)
    elif count < _DELIVERIES_MIN:
        found = f"maxReceiveCount is {count}: a few conflicts or stops make a message a dead letter"
        notebook.finding(FindingCode.FEW_DELIVERIES, subject, found, remedy)
    else:
        notebook.sound(subject, f"{count} deliveries, then {redrive['deadLetterTargetArn']}")
    return str(redrive["deadLetterTargetArn"])


async def _examine_dead_letters(notebook: Notebook, inspector: Inspector, arn: str, queue: Mapping[str, str]) -> None:
    subject = f"dead-letter queue {arn}"
    found = await notebook.within_time(subject, inspector.queue_url(arn))
    if found is not None and found.refusal is None:
        found = await notebook.within_time(subject, inspector.queue_attributes(str(found.response.get("QueueUrl"))))
    if found is None:
        return
    if found.refusal is not None:
        remedy = f"correct the RedrivePolicy of SQS_QUEUE_URL, or {_PROVISION}"
        _note_refusal(notebook, subject, found, FindingCode.DEAD_LETTER_QUEUE_ABSENT, remedy)
        return
    attributes: Mapping[str, str] = {name: str(value) for name, value in found.response.items()}
    _note_retention(notebook, "dead-letter queue", attributes)
    ours, theirs = (_number(each, "MaximumMessageSize", _SNS_BYTES) for each in (queue, attributes))
    if theirs < ours:
        words = f"{theirs} bytes, the queue takes {ours}: SQS and the worker cannot move larger messages whole"
        remedy = f"set its MaximumMessageSize to {ours}"
        notebook.finding(FindingCode.MESSAGE_SIZE_SHORT, "dead-letter queue message size", words, remedy)
    await _examine_key(notebook, inspector, "dead-letter queue", attributes, sns_delivers=False)


async def _examine_key(
    notebook: Notebook, inspector: Inspector, name: str, attributes: Mapping[str, str], *, sns_delivers: bool
) -> None:
    """Note the key with which a queue is encrypted, if it is one of KMS."""
    key = attributes.get("KmsMasterKeyId")
    if not key:
        return
    subject = f"{name} encryption key {key}"
    if key == _KEY_OF_AWS or key.endswith(f":{_KEY_OF_AWS}"):
        if sns_delivers:
            found = "it is AWS's own key, whose policy never lets SNS in, so the topics cannot deliver"
            remedy = "encrypt with SSE-SQS, or with a key of your own whose policy lets sns.amazonaws.com use it"
            notebook.finding(FindingCode.KEY_OF_AWS, subject, found, remedy)
        return
    answer = await notebook.within_time(subject, inspector.key(key))
    if answer is None:
        return
    if answer.refusal is CallRefusal.ABSENT:
        notebook.finding(FindingCode.KEY_UNUSABLE, subject, answer.words, "name a key that exists")
        return
    if answer.refusal is not None:
        notebook.untried(subject, f"{answer.words}; the right kms:DescribeKey lets it be asked")
        return
    metadata = answer.response.get("KeyMetadata", {})
    if metadata.get("KeyState") != "Enabled":
        found, remedy = f"it is {metadata.get('KeyState')}", "enable it, or cancel its deletion"
        notebook.finding(FindingCode.KEY_UNUSABLE, subject, found, remedy)
        return
    if sns_delivers:
        await _examine_key_policy(notebook, inspector, subject, str(metadata.get("Arn")))
    notebook.untried(f"kms:Decrypt, kms:GenerateDataKey on {key}", "no call tries them without a message")


async def _examine_key_policy(notebook: Notebook, inspector: Inspector, subject: str, arn: str) -> None:
    answer = await notebook.within_time(subject, inspector.key_policy(arn))
    if answer is None:
        return
    if answer.refusal is not None:
        notebook.untried(subject, f"{answer.words}; the right kms:GetKeyPolicy lets it be asked")
    elif sns_may_use(str(answer.response.get("Policy", ""))):
        notebook.sound(subject, "enabled, and SNS may use it")
    else:
        found = "its policy does not let SNS use it, so the topics cannot deliver"
        remedy = "allow sns.amazonaws.com kms:GenerateDataKey and kms:Decrypt in the key's policy"
        notebook.finding(FindingCode.KEY_CLOSED, subject, found, remedy)


def _number(attributes: Mapping[str, object], name: str, default: int) -> int:
    """A whole number among the attributes; the default where it is missing or none."""
    found = str(attributes.get(name, ""))
    return int(found) if found.isdecimal() else default
