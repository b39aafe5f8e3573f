"""A stand-in for SQS and SNS that is never the bottleneck: what `make bench` lets every consumer talk to.

HTTP/1.1 by hand on asyncio, messages rendered before the clock starts. It speaks what AWS's clients speak (JSON for
SQS, the query protocol for SNS). Left out: redelivery of what nobody settled, signatures, FIFO; so it proves nothing
about correctness, which the end-to-end suite does with the same client code on LocalStack.

Its own side door, `/bench/<queue>/…`: `stage` takes bodies, `release` makes them visible at once, `done` answers when
all are deleted and so many events published, with the wall seconds that took; `polled` answers when so many receivers
wait; `drop` forgets the queue.
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
"""Takes a content type and a body."""


class Endpoint:
    """All queues and the one counter of published events. `latency_s` is added to every answer but a long poll's."""

    def __init__(self, *, url: str, latency_s: float) -> None:
        self.latency_s = latency_s
        self._url = url
        self._queues: dict[str, BenchQueue] = {}

    def sqs(self, action: str, body: bytes, call: PendingCall) -> None:
        """One call to SQS."""
        asked = orjson.loads(body)
        if action == "GetQueueUrl":
            call.answer(orjson.dumps({"QueueUrl": f"{self._url}/{ACCOUNT}/{asked['QueueName']}"}))
            return
        queue = self.queue(asked["QueueUrl"].rpartition("/")[2])
        queue.calls[action] += 1
        match action:
            case "ReceiveMessage":
                queue.receive(call, asked.get("MaxNumberOfMessages", 1), asked.get("WaitTimeSeconds", 0))
            case "DeleteMessageBatch":
                queue.delete([entry["ReceiptHandle"] for entry in asked["Entries"]])
                call.answer(_done(asked["Entries"]))
            case "DeleteMessage":
                queue.delete([asked["ReceiptHandle"]])
                call.answer(b"{}")
            case "ChangeMessageVisibilityBatch":
                for entry in asked["Entries"]:
                    queue.hide(entry["ReceiptHandle"], entry["VisibilityTimeout"])
                call.answer(_done(asked["Entries"]))
            case "ChangeMessageVisibility":
                queue.hide(asked["ReceiptHandle"], asked["VisibilityTimeout"])
                call.answer(b"{}")
            case "SendMessageBatch":
                call.answer(_done(asked["Entries"], MessageId="sent", MD5OfMessageBody=""))
            case "GetQueueAttributes":
                call.answer(orjson.dumps({"Attributes": self._attributes(queue.name)}))
            case _:
                call.answer(b"{}")

    def sns(self, body: bytes) -> bytes:
        """One call to SNS; its answer."""
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
        """The side door."""
        path = urlsplit(target)
        _, _, name, action = path.path.split("/")
        queue = self.queue(name)
        match action:
            case "stage":
                queue.stage(orjson.loads(body))
                call.answer(b"{}")
            case "release":
                queue.release()
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
        """The queue of that name, which is there as soon as it is asked for."""
        return self._queues.setdefault(name, BenchQueue(name))

    def _attributes(self, name: str) -> dict[str, str]:
        arn = f"arn:aws:sqs:us-east-1:{ACCOUNT}:{name}"
        redrive = {"deadLetterTargetArn": f"{arn}-dead", "maxReceiveCount": 10}
        return {"QueueArn": arn, "VisibilityTimeout": "30", "RedrivePolicy": orjson.dumps(redrive).decode()}


class Connection(asyncio.Protocol):
    """One client's connection: requests one after the other, no pipelining."""

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
    def there(self) -> bool:
        """Whether somebody still waits for the answer."""
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
            endpoint.bench(target, body, PendingCall(answer=self._json, there=lambda: self.there))
        elif action is not None:
            later = self._json if endpoint.latency_s == 0 else self._json_later
            endpoint.sqs(action[1].decode(), body, PendingCall(answer=later, there=lambda: self.there))
        else:
            self._write(_XML, endpoint.sns(body))

    def _json(self, body: bytes) -> None:
        self._write(_JSON, body)

    def _json_later(self, body: bytes) -> None:
        asyncio.get_running_loop().call_later(self._endpoint.latency_s, self._write, _JSON, body)

    def _write(self, kind: bytes, body: bytes) -> None:
        if self.there and self._transport is not None:
            self._transport.write(_HEAD % (kind, len(body)) + body)


def _done(entries: list[dict[str, Any]], **more: str) -> bytes:
    return orjson.dumps({"Successful": [{"Id": entry["Id"], **more} for entry in entries], "Failed": []})


async def serve(port: int, latency_s: float) -> None:
    """Serve until SIGTERM."""
    loop = asyncio.get_running_loop()
    endpoint = Endpoint(url=f"http://127.0.0.1:{port}", latency_s=latency_s)
    stopped = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    server = await loop.create_server(lambda: Connection(endpoint), "127.0.0.1", port)
    await stopped.wait()
    server.close()


def main() -> None:
    """`python -m tests.bench.endpoint.server --port N`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--latency-ms", type=float, default=0)
    asked = parser.parse_args()
    asyncio.run(serve(asked.port, asked.latency_ms / 1_000))


if __name__ == "__main__":
    main()
