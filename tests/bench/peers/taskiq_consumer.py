"""taskiq with taskiq-aio-sqs and our handlers: ten a receive, its receiver's own concurrency, a delete a message."""

import asyncio
import importlib
import os
from typing import Any

from tests.bench.consumers.message_handler import message_handler

_TASK = "handle"


def formatter(taskiq: Any) -> Any:
    """Makes a task's call of every body: production's events do not come in taskiq's own format."""

    class Bodies(taskiq.abc.formatter.TaskiqFormatter):  # type: ignore[misc]
        """The body is the argument."""

        def dumps(self, message: Any) -> Any:
            """Never asked: nothing is sent here."""
            raise TypeError("nothing is sent here")

        def loads(self, message: bytes) -> Any:
            """A message is a call of the one task."""
            body = message.decode()
            return taskiq.TaskiqMessage(task_id="bench", task_name=_TASK, labels={}, args=[body], kwargs={})

    return Bodies()


async def main() -> None:
    """Receive until killed."""
    taskiq: Any = importlib.import_module("taskiq")
    importlib.import_module("taskiq.abc.formatter")
    broker: Any = importlib.import_module("taskiq_aio_sqs").SQSBroker(
        os.environ["SQS_QUEUE_URL"].rpartition("/")[2],
        endpoint_url=os.environ["AWS_ENDPOINT_URL_SQS"],
        region_name=os.environ["AWS_REGION"],
        aws_access_key_id=os.environ["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=os.environ["AWS_SECRET_ACCESS_KEY"],
        max_number_of_messages=10,
        wait_time_seconds=20,
    )
    broker = broker.with_formatter(formatter(taskiq))
    async with message_handler() as ours:

        async def handle(body: str) -> None:
            await ours.handle(body)

        broker.task(task_name=_TASK)(handle)
        broker.is_worker_process = True
        await broker.startup()
        receiver = importlib.import_module("taskiq.api.receiver")
        await receiver.run_receiver_task(broker)


if __name__ == "__main__":
    asyncio.run(main())
