"""tomodachi with our handlers, run by `tomodachi run`: ten a receive, the ten side by side, a delete a message."""

import os
from contextlib import AsyncExitStack
from typing import Final

import tomodachi  # type: ignore[import-not-found] # lives in the environment of the peers

from tests.bench.consumers.message_handler import MessageHandler, message_handler

_NAME: Final = os.environ["SQS_QUEUE_URL"].rpartition("/")[2]
_URL: Final = os.environ["AWS_ENDPOINT_URL_SQS"]


class BenchServers(tomodachi.Service):  # type: ignore[misc]
    """One queue, one handler."""

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
        self._ours: MessageHandler = await self._stack.enter_async_context(message_handler())

    async def _stop_service(self) -> None:
        await self._stack.aclose()

    @tomodachi.aws_sns_sqs(queue_name=f"arn:aws:sqs:us-east-1:000000000000:{_NAME}")  # type: ignore[untyped-decorator]
    async def handle(self, message: str) -> None:
        """What SNS wrapped; tomodachi itself has read the wrapper."""
        await self._ours.handle(message)
