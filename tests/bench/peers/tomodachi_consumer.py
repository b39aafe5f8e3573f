"""tomodachi with the worker's handlers, for `tomodachi run`: ten a receive, handled concurrently, one delete each."""

import os
from contextlib import AsyncExitStack
from typing import Final

import tomodachi  # type: ignore[import-not-found] # installed in the peers' environment

from tests.bench.consumers.message_handler import MessageHandler, message_handler

_NAME: Final = os.environ["SQS_QUEUE_URL"].rpartition("/")[2]
_URL: Final = os.environ["AWS_ENDPOINT_URL_SQS"]


class QueueService(tomodachi.Service):  # type: ignore[misc]
    """The service: one queue with one handler."""

    name = "bench"
    options = tomodachi.Options(
        aws_endpoint_urls=tomodachi.Options.AWSEndpointURLs(sns=_URL, sqs=_URL, sts=_URL),
        aws_sns_sqs=tomodachi.Options.AWSSNSSQS(
            region_name=os.environ["AWS_REGION"],
            aws_access_key_id=os.environ["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=os.environ["AWS_SECRET_ACCESS_KEY"],
        ),
    )

    async def _start_service(self) -> None:
        self._stack = AsyncExitStack()
        self._handler: MessageHandler = await self._stack.enter_async_context(message_handler())

    async def _stop_service(self) -> None:
        await self._stack.aclose()

    @tomodachi.aws_sns_sqs(queue_name=f"arn:aws:sqs:us-east-1:000000000000:{_NAME}")  # type: ignore[untyped-decorator]
    async def handle(self, message: str) -> None:
        """Handles the message in SNS's envelope, which tomodachi has unwrapped."""
        await self._handler.handle(message)
