"""AWS's `aws-sdk-sqs` with the worker's handlers: four receivers of ten, one message at a time, one batch delete.

The client is set up as its guide has it: configuration and credentials from the environment.
"""

import asyncio
import importlib
import os
from typing import Any

from tests.bench.consumers.bare import RECEIVERS
from tests.bench.consumers.message_handler import MessageHandler, message_handler


async def receive_forever(client: Any, models: Any, handler: MessageHandler) -> None:
    """Receives ten messages, handles them one after the other, and deletes them. Never returns."""
    url = os.environ["SQS_QUEUE_URL"]
    while True:
        answer = await client.receive_message(
            models.ReceiveMessageInput(queue_url=url, max_number_of_messages=10, wait_time_seconds=20)
        )
        if not answer.messages:
            continue
        for message in answer.messages:
            await handler.handle(message.body)
        entries = [
            models.DeleteMessageBatchRequestEntry(id=str(number), receipt_handle=message.receipt_handle)
            for number, message in enumerate(answer.messages)
        ]
        await client.delete_message_batch(models.DeleteMessageBatchInput(queue_url=url, entries=entries))


async def main() -> None:
    """Runs four receivers until the process is killed."""
    sdk: Any = importlib.import_module("aws_sdk_sqs.client")
    config: Any = importlib.import_module("aws_sdk_sqs.config")
    models: Any = importlib.import_module("aws_sdk_sqs.models")
    settings = await config.AsyncSQSConfig.resolve()
    async with (
        message_handler() as handler,
        sdk.AsyncSQSClient(config=settings) as client,
        asyncio.TaskGroup() as tasks,
    ):
        for _ in range(RECEIVERS):
            tasks.create_task(receive_forever(client, models, handler))


if __name__ == "__main__":
    asyncio.run(main())
