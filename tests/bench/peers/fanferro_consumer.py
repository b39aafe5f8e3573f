"""fanferro (Rust core) with our handlers, as its guide has it: full batches, background deletes."""

import asyncio
import importlib
import os
from typing import Any

from tests.bench.consumers.message_handler import message_handler


async def main() -> None:
    """Receive until killed."""
    fanferro: Any = importlib.import_module("fanferro")
    client = fanferro.Client(
        region=os.environ["AWS_REGION"],
        endpoint_url=os.environ["AWS_ENDPOINT_URL_SQS"],
        provisioning=fanferro.Provisioning.assume(),
    )
    async with message_handler() as ours:

        async def handle(message: Any) -> None:
            await ours.handle(message.body)

        # The type of the body is read from the annotation, and the package is not where this file is checked.
        handle.__annotations__["message"] = fanferro.Message[str]
        client.consumer(client.queue(url=os.environ["SQS_QUEUE_URL"]), handle)
        async with client:
            await client.run()


if __name__ == "__main__":
    asyncio.run(main())
