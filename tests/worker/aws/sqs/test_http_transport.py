"""SQS over HTTP: the JSON protocol. ../test_http_calls.py and test_queue_contract.py test the rest."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from moto_server import MotoServer
from tests.worker.aws.stand_ins.scripted_service import scripted
from tests.worker.stand_ins.moto_clients import Aws, opened
from worker.aws.sqs.http_transport import SqsHttp


async def test_a_request_is_json_under_the_operations_name() -> None:
    async with scripted("sqs", [(200, {}, {})]) as (endpoint, script):
        await SqsHttp(endpoint).delete_message_batch(QueueUrl="q", Entries=[{"Id": "0", "ReceiptHandle": "r"}])
        assert json.loads(script.requests[0]) == {"QueueUrl": "q", "Entries": [{"Id": "0", "ReceiptHandle": "r"}]}
        assert script.headers[0]["x-amz-target"] == "AmazonSQS.DeleteMessageBatch"
        assert script.headers[0]["content-type"] == "application/x-amz-json-1.0"


async def test_the_date_of_a_response_is_where_the_library_puts_it() -> None:
    async with scripted("sqs", [(200, {}, {"Date": "Mon, 06 May 2024 07:08:09 GMT"})]) as (endpoint, _):
        response = await SqsHttp(endpoint).receive_message(QueueUrl="q")
        assert response == {"ResponseMetadata": {"HTTPHeaders": {"date": "Mon, 06 May 2024 07:08:09 GMT"}}}


async def test_binary_attributes_come_as_bytes() -> None:
    attributes = {"a": {"DataType": "Binary", "BinaryValue": "AAE="}, "b": {"DataType": "String", "StringValue": "v"}}
    async with scripted("sqs", [(200, {"Messages": [{"MessageAttributes": attributes}]}, {})]) as (endpoint, _):
        (message,) = (await SqsHttp(endpoint).receive_message(QueueUrl="q"))["Messages"]
        assert message["MessageAttributes"]["a"]["BinaryValue"] == b"\0\1"
        assert message["MessageAttributes"]["b"]["StringValue"] == "v"


async def test_errors_equal_the_librarys(moto: MotoServer) -> None:
    async def error_of(aws: Aws) -> tuple[str, int]:
        with pytest.raises(ClientError) as raised:
            await aws.hot.delete_message_batch(
                QueueUrl=f"{moto.endpoint}/123456789012/none", Entries=[{"Id": "0", "ReceiptHandle": "r"}]
            )
        response: Any = raised.value.response
        return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]

    async with opened(moto) as library, opened(moto, http=True) as http:
        assert await error_of(http) == await error_of(library)
