"""The adapter of the dead-letter queue on moto's server, and the calls that its policy has to allow."""

import json
from typing import Any

import pytest

from tests.worker.aws.test_rights import Calls, policy
from tests.worker.stand_ins.moto_clients import Aws
from worker.aws.sqs.letter_queue import QUEUE_AWAY, SqsLetterQueue
from worker.aws.sqs.message_queue import read_queue_attributes
from worker.errors import Misconfigured
from worker.ports.letters import ReturnedMessage
from worker.runtime.clock import SystemClock

TRACE: Any = {"_datadog": {"DataType": "Binary", "BinaryValue": b"\x00\xff"}}


def letters_of(aws: Aws, url: str, dead_url: str) -> SqsLetterQueue:
    return SqsLetterQueue(client=aws.sqs, url=url, dead_letter_url=dead_url, clock=SystemClock())


@pytest.mark.thorough
@pytest.mark.parametrize("fifo", [False, True])
async def test_a_letter_is_received_given_back_put_back_and_deleted(aws: Aws, fifo: bool) -> None:
    url, dead_url = await aws.queue(fifo=fifo)
    more: Any = {"MessageGroupId": "g", "MessageDeduplicationId": "d"} if fifo else {}
    await aws.sqs.send_message(QueueUrl=dead_url, MessageBody="{}", MessageAttributes=TRACE, **more)
    letters = letters_of(aws, url, dead_url)
    (first,) = await letters.receive(count_max=10, hidden_s=60, wait_s=0)
    assert (await letters.describe()).hidden == 1
    assert await letters.receive(count_max=10, hidden_s=60, wait_s=0) == []
    assert await letters.give_back([first.message.receipt]) == [None]
    state = await letters.describe()
    assert (state.visible, state.hidden, state.fifo, state.receive_count_max) == (1, 0, fifo, None)
    assert state.read_at is not None
    (again,) = await letters.receive(count_max=1, hidden_s=60, wait_s=0)
    assert (again.message.id, again.message.receive_count) == (first.message.id, 2)
    assert again.message.group == ("g" if fifo else None)
    back = ReturnedMessage(
        body="{}", attributes=TRACE, group="g" if fifo else None, deduplication_id="redrive-1" if fifo else None
    )
    assert await letters.put_back_batch([back]) == [None]
    assert await letters.delete_batch([again.message.receipt]) == [None]
    assert (await letters.describe()).visible == 0
    (message,) = await aws.taken(url)
    assert message["MessageAttributes"]["_datadog"]["BinaryValue"] == b"\x00\xff"


async def test_a_call_that_fails_is_a_refusal_of_its_entries_that_may_pass(aws: Aws) -> None:
    _, dead_url = await aws.queue(fifo=False)
    letters = letters_of(aws, f"{dead_url}-that-is-not-there", dead_url)
    answers = await letters.put_back_batch([ReturnedMessage(body="x" * 200_000, attributes={})] * 3)
    assert [answer and (answer.code, answer.final) for answer in answers] == [(QUEUE_AWAY, False)] * 3


async def test_a_redrive_policy_of_its_own_is_seen_and_a_queue_that_is_not_there_is_one_line(aws: Aws) -> None:
    url, dead_url = await aws.queue(fifo=False)
    arn = (await aws.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"]))["Attributes"]["QueueArn"]
    own = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 3})
    await aws.sqs.set_queue_attributes(QueueUrl=dead_url, Attributes={"RedrivePolicy": own})
    assert (await letters_of(aws, url, dead_url).describe()).receive_count_max == 3
    with pytest.raises(Misconfigured, match=r"the dead-letter queue .*QueueDoesNotExist"):
        await letters_of(aws, url, f"{dead_url}-gone").describe()


async def test_the_operators_policy_allows_every_call_on_its_queue(aws: Aws) -> None:
    """Looking needs no right on the queue of events but to read its redrive policy."""
    url, dead_url = await aws.queue(fifo=False)
    await aws.sqs.send_message(QueueUrl=dead_url, MessageBody="{}")
    calls = Calls(aws.sqs)
    letters = letters_of(aws, url, (await read_queue_attributes(aws.sqs, url)).dead_letter_url)
    await letters.describe()
    (letter,) = await letters.receive(count_max=10, hidden_s=60, wait_s=0)
    await letters.give_back([letter.message.receipt])
    looking, moving = policy("iam-redrive.json")
    assert calls.actions <= set(looking["Action"])
    await letters.put_back_batch([ReturnedMessage(body="{}", attributes={})])
    await letters.delete_batch([letter.message.receipt])
    assert calls.actions - set(looking["Action"]) == {"sqs:SendMessage"} < set(moving["Action"])
