"""Powertools for AWS Lambda with the worker's handlers, as in its guide: the ten records of a batch side by side.

One execution environment of a function, which handles one batch after the other. Of the event source only what it asks
of SQS is here: ten a receive, and one batch delete of the messages that are no failures.
"""

import asyncio
import importlib
import os
from contextlib import AsyncExitStack
from typing import Any

from tests.bench.consumers.message_handler import endpoint, message_handler
from worker.aws.clients import sqs_client


def main() -> None:
    """Receives until the process is killed."""
    # As in a function: batches share one event loop.
    os.environ["LAMBDA_TASK_ROOT"] = "/var/task"
    batch: Any = importlib.import_module("aws_lambda_powertools.utilities.batch")
    processor = batch.AsyncBatchProcessor(event_type=batch.EventType.SQS)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    stack = AsyncExitStack()
    handler = loop.run_until_complete(stack.enter_async_context(message_handler()))
    sqs: Any = loop.run_until_complete(
        stack.enter_async_context(sqs_client(endpoint("SQS"), read_timeout_s=30, connections_max=2))
    )
    url = os.environ["SQS_QUEUE_URL"]

    async def handle(record: Any) -> None:
        await handler.handle(record.body)

    while True:
        answer = loop.run_until_complete(sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=20))
        messages = answer.get("Messages", [])
        if not messages:
            continue
        records = [
            {
                "messageId": one["MessageId"],
                "receiptHandle": one["ReceiptHandle"],
                "body": one["Body"],
                "attributes": one.get("Attributes", {}),
                "messageAttributes": {},
                "eventSource": "aws:sqs",
            }
            for one in messages
        ]
        failed = batch.async_process_partial_response(
            event={"Records": records}, record_handler=handle, processor=processor, context=None
        )
        assert not failed["batchItemFailures"], failed
        entries = [{"Id": str(n), "ReceiptHandle": one["ReceiptHandle"]} for n, one in enumerate(messages)]
        loop.run_until_complete(sqs.delete_message_batch(QueueUrl=url, Entries=entries))


if __name__ == "__main__":
    main()
