"""A stand-in for SQS and SNS that is faster than every consumer of `make bench`.

HTTP/1.1 on an asyncio protocol; messages are rendered before the clock starts. It speaks JSON as SQS and the query
protocol as SNS. It has no redelivery after the visibility timeout, no signatures and no FIFO. It shows nothing about
correctness: the end-to-end suite runs the same client code on LocalStack.

The control interface of the benchmark is `POST /bench/<queue>/<action>`:

| action | effect |
|---|---|
| `stage` | adds messages, invisible for now, from a JSON array of bodies |
| `release` | makes all staged messages visible at once, and starts the clock and the counters |
| `release?per_s=N` | the same, N messages a second |
| `done?published=N` | answers when all messages are deleted and N events published: wall seconds, calls by action |
| `polled?pollers=N` | answers when N receivers wait for messages |
| `drop` | removes the queue |
"""

import argparse
import asyncio
import re
import signal
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import orjson

from tests.bench.endpoint.queue import BenchQueue, PendingCall

_TARGET: Final = re.compile(rb"\r\nx-amz-target: *AmazonSQS\.(\w+)", re.IGNORECASE)
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CONTINUE: Final = re.compile(rb"\r\nexpect: *100-continue", re.IGNORECASE)
_ENTRY_ID: Final = re.compile(rb"PublishBatchRequestEntries\.member\.\d+\.Id=([^&]+)")
_HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nx-amzn-RequestId: bench\r\nContent-Length: %d\r\n\r\n"
_JSON: Final = b"application/x-amz-json-1.0"
_XML: Final = b"text/xml"
ACCOUNT: Final = "000000000000"

Answer = Callable[[bytes, bytes], None]
"""Sends an answer: content type, body."""


class Endpoint:
    """All queues and topics. `latency_s` delays the answer of every SQS call."""

    def __init__(self, *, url: str, latency_s: float) -> None:
        self.latency_s = latency_s
        self._url = url
        self._queues: dict[str, BenchQueue] = {}

    def sqs(self, action: str, body: bytes, call: PendingCall) -> None:
        """Serves one call to SQS."""
        request = orjson.loads(body)
        if action == "GetQueueUrl":
            call.answer(orjson.dumps({"QueueUrl": f"{self._url}/{ACCOUNT}/{request['QueueName']}"}))
            return
        queue = self.queue(request["QueueUrl"].rpartition("/")[2])
        queue.calls[action] += 1
        match action:
            case "ReceiveMessage":
                queue.receive(call, request.get("MaxNumberOfMessages", 1), request.get("WaitTimeSeconds", 0))
            case "DeleteMessageBatch":
                queue.delete([entry["ReceiptHandle"] for entry in request["Entries"]])
                call.answer(_done(request["Entries"]))
            case "DeleteMessage":
                queue.delete([request["ReceiptHandle"]])
                call.answer(b"{}")
            case "ChangeMessageVisibilityBatch":
                for entry in request["Entries"]:
                    queue.change_visibility(entry["ReceiptHandle"], entry["VisibilityTimeout"])
                call.answer(_done(request["Entries"]))
            case "ChangeMessageVisibility":
                queue.change_visibility(request["ReceiptHandle"], request["VisibilityTimeout"])
                call.answer(b"{}")
            case "SendMessageBatch":
                call.answer(_done(request["Entries"], MessageId="sent", MD5OfMessageBody=""))
            case "GetQueueAttributes":
                call.answer(orjson.dumps({"Attributes": self._attributes(queue.name)}))
            case _:
                call.answer(b"{}")

    def sns(self, body: bytes) -> bytes:
        """Serves one call to SNS. Returns the answer's body. Published events count for every queue."""
        if b"Action=PublishBatch&" not in body:
            return b"<GetTopicAttributesResponse><GetTopicAttributesResult/></GetTopicAttributesResponse>"
        ids = _ENTRY_ID.findall(body)
        for queue in self._queues.values():
            queue.published(len(ids))
        members = b"".join(b"<member><Id>%b</Id><MessageId>sent</MessageId></member>" % one for one in ids)
        return (
            b"<PublishBatchResponse><PublishBatchResult><Failed/><Successful>%b</Successful>"
            b"</PublishBatchResult></PublishBatchResponse>" % members
        )

    def bench(self, target: str, body: bytes, call: PendingCall) -> None:
        """Serves one call of the control interface."""
        path = urlsplit(target)
        _, _, name, action = path.path.split("/")
        queue = self.queue(name)
        match action:
            case "stage":
                queue.stage(orjson.loads(body))
                call.answer(b"{}")
            case "release":
                rate = parse_qs(path.query).get("per_s")
                queue.release(float(rate[0]) if rate else None)
                call.answer(b"{}")
            case "done":
                queue.answer_when_done(call, int(parse_qs(path.query)["published"][0]))
            case "polled":
                queue.answer_when_polled(call, int(parse_qs(path.query)["pollers"][0]))
            case "drop":
                self._queues.pop(name, None)
                call.answer(b"{}")
            case _:
                call.answer(b"{}")

    def queue(self, name: str) -> BenchQueue:
        """The queue of that name, made on first use."""
        return self._queues.setdefault(name, BenchQueue(name))

    def _attributes(self, name: str) -> dict[str, str]:
        arn = f"arn:aws:sqs:us-east-1:{ACCOUNT}:{name}"
        redrive = {"deadLetterTargetArn": f"{arn}-dead", "maxReceiveCount": 10}
        return {"QueueArn": arn, "VisibilityTimeout": "30", "RedrivePolicy": orjson.dumps(redrive).decode()}


class Connection(asyncio.Protocol):
    """One client's connection: one request after the other, without pipelining."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._transport: asyncio.WriteTransport | None = None
        self._buffer = bytearray()
        self._head: tuple[bytes, int] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while self._one_request():
            pass

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None

    @property
    def connected(self) -> bool:
        """Whether the client is still connected."""
        return self._transport is not None and not self._transport.is_closing()

    def _one_request(self) -> bool:
        if self._head is None:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return False
            head = bytes(self._buffer[: end + 4])
            del self._buffer[: end + 4]
            length = _LENGTH.search(head)
            self._head = head, int(length[1]) if length else 0
            if _CONTINUE.search(head) and self._transport is not None:
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        head, size = self._head
        if len(self._buffer) < size:
            return False
        body = bytes(self._buffer[:size])
        del self._buffer[:size]
        self._head = None
        self._serve(head, body)
        return True

    def _serve(self, head: bytes, body: bytes) -> None:
        endpoint = self._endpoint
        target = head.split(b" ", 2)[1].decode()
        action = _TARGET.search(head)
        if target.startswith("/bench/"):
            endpoint.bench(target, body, PendingCall(answer=self._json, connected=lambda: self.connected))
        elif action is not None:
            later = self._json if endpoint.latency_s == 0 else self._json_later
            endpoint.sqs(action[1].decode(), body, PendingCall(answer=later, connected=lambda: self.connected))
        else:
            self._write(_XML, endpoint.sns(body))

    def _json(self, body: bytes) -> None:
        self._write(_JSON, body)

    def _json_later(self, body: bytes) -> None:
        asyncio.get_running_loop().call_later(self._endpoint.latency_s, self._write, _JSON, body)

    def _write(self, kind: bytes, body: bytes) -> None:
        if self.connected and self._transport is not None:
            self._transport.write(_HEAD % (kind, len(body)) + body)


def _done(entries: list[dict[str, Any]], **more: str) -> bytes:
    return orjson.dumps({"Successful": [{"Id": entry["Id"], **more} for entry in entries], "Failed": []})


async def serve(port: int, latency_s: float) -> None:
    """Serves until SIGTERM. `latency_s`: added to the answer of every SQS call."""
    loop = asyncio.get_running_loop()
    endpoint = Endpoint(url=f"http://127.0.0.1:{port}", latency_s=latency_s)
    stopped = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    server = await loop.create_server(lambda: Connection(endpoint), "127.0.0.1", port)
    await stopped.wait()
    server.close()


def main() -> None:
    """Serves SQS and SNS on a port of 127.0.0.1 until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--latency-ms", type=float, default=0)
    options = parser.parse_args()
    asyncio.run(serve(options.port, options.latency_ms / 1_000))


if __name__ == "__main__":
    main()
