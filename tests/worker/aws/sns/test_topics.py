"""What is published to a topic arrives in the queue."""

from tests.worker.stand_ins.moto_clients import Aws
from worker.aws.sns.topics import SnsTopics
from worker.outbox.topic_message import topic_message


async def test_a_published_message_arrives_wrapped_or_raw_with_its_attributes(aws: Aws) -> None:
    text = '{"id":"a","name":"kustomer.conversation.update"}'
    for raw in (False, True):
        made = await aws.provisioned(raw=raw)
        message = topic_message(id="a", group="c1", text=text)
        assert await SnsTopics(aws.sns).publish(made.conversation_topic_arn, [message]) == [None]
        (arrived,) = await aws.taken(made.queue_url)
        if raw:
            assert arrived["Body"] == text
            assert arrived["MessageAttributes"]["name"]["StringValue"] == "kustomer.conversation.update"
        else:
            assert '"MessageAttributes"' in arrived["Body"]


async def test_on_a_fifo_topic_the_group_is_the_conversation_and_a_message_is_taken_once(aws: Aws) -> None:
    made = await aws.provisioned(fifo=True)
    messages = [topic_message(id="a", group="c1", text="{}"), topic_message(id="b", group="c2", text="{}")]
    for _ in range(2):
        assert await SnsTopics(aws.sns).publish(made.work_item_topic_arn, messages) == [None, None]
    groups = [one["Attributes"]["MessageGroupId"] for one in await aws.taken(made.queue_url)]
    assert sorted(groups) == ["c1", "c2"]
