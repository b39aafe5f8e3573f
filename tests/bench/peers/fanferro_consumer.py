"""fanferro (Rust core) with the worker's handlers, set up as in its guide: full batches, background deletes."""

import asyncio
import importlib
import os
from typing import Any

from tests.bench.consumers.message_handler import message_handler


async def main() -> None:
    """Receives until the process is killed."""
    fanferro: Any = importlib.import_module("fanferro")
    client = fanferro.Client(
        region=os.environ["AWS_REGION"],
        endpoint_url=os.environ["AWS_ENDPOINT_URL_SQS"],
        provisioning=fanferro.Provisioning.assume(),
    )
    async with message_handler() as handler:

        async def handle(message: Any) -> None:
            await handler.handle(message.body)

        # fanferro reads the body's type from the annotation. The type checker runs without the package.
        handle.__annotations__["message"] = fanferro.Message[str]
        client.consumer(client.queue(url=os.environ["SQS_QUEUE_URL"]), handle)
        async with client:
            await client.run()


if __name__ == "__main__":
    asyncio.run(main())
