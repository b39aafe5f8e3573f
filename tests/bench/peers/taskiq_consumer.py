"""taskiq with taskiq-aio-sqs and the worker's handlers: ten a receive, default concurrency, one delete a message."""

import asyncio
import importlib
import os
from typing import Any

from tests.bench.consumers.message_handler import message_handler

_TASK = "handle"


def formatter(taskiq: Any) -> Any:
    """A formatter that turns every message body into a call of the one task: events are not in taskiq's format."""

    class Bodies(taskiq.abc.formatter.TaskiqFormatter):  # type: ignore[misc]
        """The message body is the argument of the call."""

        def dumps(self, message: Any) -> Any:
            """This process sends no tasks."""
            raise TypeError("this process sends no tasks")

        def loads(self, message: bytes) -> Any:
            """The call of the one task with a message body."""
            body = message.decode()
            return taskiq.TaskiqMessage(task_id="bench", task_name=_TASK, labels={}, args=[body], kwargs={})

    return Bodies()


async def main() -> None:
    """Receives until the process is killed."""
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
    async with message_handler() as handler:

        async def handle(body: str) -> None:
            await handler.handle(body)

        broker.task(task_name=_TASK)(handle)
        broker.is_worker_process = True
        await broker.startup()
        receiver = importlib.import_module("taskiq.api.receiver")
        await receiver.run_receiver_task(broker)


if __name__ == "__main__":
    asyncio.run(main())
