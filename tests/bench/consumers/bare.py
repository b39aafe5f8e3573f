"""The bare loop, which every ratio is made to: aiobotocore, four receivers of ten, `orjson.loads`, batch deletes."""

import asyncio
import os
from typing import Any, Final

import orjson
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session

RECEIVERS: Final = 4


async def receive_forever(client: Any, url: str) -> None:
    """Receives, parses and deletes ten messages at a time. Never returns."""
    while True:
        answer = await client.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=20)
        messages = answer.get("Messages", [])
        for message in messages:
            orjson.loads(orjson.loads(message["Body"])["Message"])
        if messages:
            entries = [{"Id": str(n), "ReceiptHandle": one["ReceiptHandle"]} for n, one in enumerate(messages)]
            await client.delete_message_batch(QueueUrl=url, Entries=entries)


async def main() -> None:
    """Runs four receivers until the process is killed."""
    session: Any = get_session()
    config = AioConfig(max_pool_connections=2 * RECEIVERS)
    opened = session.create_client("sqs", region_name=os.environ["AWS_REGION"], config=config)
    async with opened as client, asyncio.TaskGroup() as tasks:
        for _ in range(RECEIVERS):
            tasks.create_task(receive_forever(client, os.environ["SQS_QUEUE_URL"]))


if __name__ == "__main__":
    asyncio.run(main())
