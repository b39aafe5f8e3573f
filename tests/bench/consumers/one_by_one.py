"""The worker's handlers as most consumers run them: four receivers of ten, one message and one delete at a time."""

import asyncio
import os
from typing import Any

from tests.bench.consumers.bare import RECEIVERS
from tests.bench.consumers.message_handler import MessageHandler, endpoint, message_handler
from worker.aws.clients import sqs_client


async def receive_forever(client: Any, handler: MessageHandler) -> None:
    """Receives ten messages, then handles and deletes them one after the other. Never returns."""
    url = os.environ["SQS_QUEUE_URL"]
    while True:
        answer = await client.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=20)
        for message in answer.get("Messages", []):
            await handler.handle(message["Body"])
            await client.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])


async def main() -> None:
    """Runs four receivers until the process is killed."""
    sqs = sqs_client(endpoint("SQS"), read_timeout_s=30, connections_max=2 * RECEIVERS)
    async with message_handler() as handler, sqs as client, asyncio.TaskGroup() as tasks:
        for _ in range(RECEIVERS):
            tasks.create_task(receive_forever(client, handler))


if __name__ == "__main__":
    asyncio.run(main())
