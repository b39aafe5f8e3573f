"""The whole examination: every area, those of AWS one after the other, the others beside them.

A check that gets no answer takes its own time and no more; what depends on it is then not tried. So the whole ends in
bounded time, whatever is away.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from typing import Final

from msgspec import Struct

from handlers.ports import Clock
from worker.aws.checks.delivery import QueueDelivery
from worker.aws.checks.inspection import CallRefusal, Inspector, opened_inspector
from worker.doctor.aws_area import examine_identity, examine_rights
from worker.doctor.notebook import Notebook
from worker.doctor.process_area import examine_process
from worker.doctor.queue_area import examine_queue
from worker.doctor.settings_area import UsableSettings, examine_settings
from worker.doctor.store_area import examine_store
from worker.errors import Misconfigured, first_line
from worker.findings import FindingCode, Result, findings_of
from worker.settings.settings import Settings

CHECK_S: Final = 5.0
"""The time that one check may take."""


class AreaReport(Struct, frozen=True, kw_only=True):
    """What the checks of one area came to."""

    area: str
    results: tuple[Result, ...]


async def examine(
    kind: type[Settings],
    clock: Clock,
    *,
    check_s: float = CHECK_S,
    noted: Callable[[Result], None] = lambda _: None,
) -> Sequence[AreaReport]:
    """Look at everything that a start with the settings of that class needs. `check_s`: the time of one check. `noted`
    is called with each result, as it comes."""
    notebooks = [
        Notebook(area, check_s=check_s, noted=noted)
        for area in ("settings", "process", "aws", "queue", "delivery", "mongo")
    ]
    settings, process, aws, queue, delivery, mongo = notebooks
    usable = examine_settings(settings, kind)
    if usable is not None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(examine_process(process, usable))
            tasks.create_task(_examine_aws((aws, queue, delivery), usable, clock))
            tasks.create_task(examine_store(mongo, usable, clock))
    return [AreaReport(area=each.area, results=tuple(each.results)) for each in notebooks if each.results]


async def _examine_aws(notebooks: tuple[Notebook, Notebook, Notebook], usable: UsableSettings, clock: Clock) -> None:
    aws, queue, delivery = notebooks
    unusable = usable.unusable("AWS_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SQS", "AWS_ENDPOINT_URL_SNS")
    if unusable is not None:
        aws.untried("AWS", unusable)
        return
    try:
        async with AsyncExitStack() as stack:
            inspector = await stack.enter_async_context(opened_inspector(usable.settings, clock))
            if not await examine_identity(aws, inspector, clock):
                aws.untried("rights, queue and topics", "the credentials must be mended first")
                return
            await _examine_parts(aws, queue, delivery, inspector, usable)
    except Misconfigured as error:
        subject, _, rest = first_line(error).partition(": ")
        found, _, remedy = rest.rpartition(": ")
        aws.finding(FindingCode.AWS_UNUSABLE, subject, found or rest, remedy)


async def _examine_parts(
    aws: Notebook, queue: Notebook, delivery: Notebook, inspector: Inspector, usable: UsableSettings
) -> None:
    attributes, dead_letter_arn = (None, None)
    if not usable.serves:
        attributes, dead_letter_arn = await examine_queue(queue, inspector, usable)
    away = FindingCode.AWS_AWAY in {finding.code for finding in findings_of(queue.results)}
    if away:
        aws.untried("rights and topics", "SQS does not answer")
        return
    topics = await _examine_topics(delivery, inspector, usable)
    await examine_rights(aws, inspector, usable, dead_letter_arn)
    if attributes is None or not topics:
        return
    look = QueueDelivery(inspector.sqs, inspector.sns, queue_url=usable.settings.sqs_queue_url, topics=topics)
    results = await delivery.within_time("subscriptions", look.look_from(attributes))
    delivery.take(results or [])


async def _examine_topics(notebook: Notebook, inspector: Inspector, usable: UsableSettings) -> dict[str, str]:
    """Note which topics exist; returns the ARNs of those that do, or that cannot be asked, by their variables."""
    settings = usable.settings
    topics = {
        "SNS_CONVERSATION_TOPIC_ARN": settings.sns_conversation_topic_arn,
        "SNS_WORK_ITEM_TOPIC_ARN": settings.sns_work_item_topic_arn,
    }
    if usable.serves:
        del topics["SNS_CONVERSATION_TOPIC_ARN"]
    found: dict[str, str] = {}
    for variable, arn in topics.items():
        unusable = usable.unusable(variable)
        if unusable is not None:
            notebook.untried(variable, unusable)
        elif await _topic_stands(notebook, inspector, f"{variable} {arn}", arn):
            found[variable] = arn
    return found


async def _topic_stands(notebook: Notebook, inspector: Inspector, subject: str, arn: str) -> bool:
    answer = await notebook.within_time(subject, inspector.topic_attributes(arn))
    if answer is None or answer.refusal is CallRefusal.AWAY:
        words = f"no answer within {notebook.check_s:g} s" if answer is None else answer.words
        remedy = "check the network, the proxy, AWS_REGION and AWS_ENDPOINT_URL"
        notebook.finding(FindingCode.AWS_AWAY, "SNS", words, remedy)
        return False
    if answer.refusal is CallRefusal.ABSENT:
        remedy = "correct the ARN; `routing-sync provision --env` prints it"
        notebook.finding(FindingCode.TOPIC_ABSENT, subject, answer.words, remedy)
        return False
    if answer.refusal is None:
        notebook.sound(subject, "it exists")
        key = answer.response.get("KmsMasterKeyId")
        if key:
            rights = f"kms:Decrypt, kms:GenerateDataKey on {key}, the key of {subject}"
            notebook.untried(rights, "no call tries them without an event")
    else:
        notebook.untried(subject, answer.words)
    return True
