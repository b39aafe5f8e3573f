"""A replica set of one that takes the mechanism MONGODB-AWS, which only Atlas and MongoDB Enterprise have."""

import asyncio
import os
import struct
from typing import Any

import bson

from tests.worker.stand_ins.tcp_server import TcpServer

REPLICA_SET = "rs0"
_HEADER = struct.Struct("<iiii")
_MESSAGE, _OLD_QUERY, _OLD_REPLY = 2013, 2004, 1


class StandInMongod(TcpServer):
    """Answers hello, the two steps of the mechanism, and every other command with success."""

    def __init__(self) -> None:
        super().__init__()
        self.signed: list[dict[str, Any]] = []

    @property
    def uri(self) -> str:
        return f"mongodb://127.0.0.1:{self.port}/?replicaSet={REPLICA_SET}&authMechanism=MONGODB-AWS"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                length, request, _, kind = _HEADER.unpack(await reader.readexactly(_HEADER.size))
                body = await reader.readexactly(length - _HEADER.size)
                answer = bson.encode(self._answer(_command(kind, body)))
                writer.write(_framed(kind, request, answer))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            # The client has closed the connection.
            pass
        finally:
            writer.close()

    def _answer(self, command: dict[str, Any]) -> dict[str, Any]:
        match next(iter(command)):
            case "hello" | "isMaster" | "ismaster":
                return self._hello()
            case "saslStart":
                nonce = bson.decode(command["payload"])["r"] + os.urandom(32)
                payload = bson.encode({"s": bson.Binary(nonce), "h": "sts.amazonaws.com"})
                return {"ok": 1, "conversationId": 1, "done": False, "payload": payload}
            case "saslContinue":
                self.signed.append(bson.decode(command["payload"]))
                return {"ok": 1, "conversationId": 1, "done": True, "payload": b""}
            case _:
                return {"ok": 1, "transactionLifetimeLimitSeconds": 5}

    def _hello(self) -> dict[str, Any]:
        me = f"127.0.0.1:{self.port}"
        return {
            "ok": 1,
            "isWritablePrimary": True,
            "ismaster": True,
            "setName": REPLICA_SET,
            "setVersion": 1,
            "hosts": [me],
            "me": me,
            "primary": me,
            "maxBsonObjectSize": 16_777_216,
            "maxMessageSizeBytes": 48_000_000,
            "maxWriteBatchSize": 100_000,
            "minWireVersion": 0,
            "maxWireVersion": 21,
            "logicalSessionTimeoutMinutes": 30,
        }


def _command(kind: int, body: bytes) -> dict[str, Any]:
    # An old query has flags, the namespace and two numbers before its document; a message has flags and a section kind.
    start = body.index(b"\0", 4) + 1 + 8 if kind == _OLD_QUERY else 5
    (length,) = struct.unpack_from("<i", body, start)
    return bson.decode(body[start : start + length])


def _framed(kind: int, request: int, document: bytes) -> bytes:
    if kind == _OLD_QUERY:
        content, answers = struct.pack("<iqii", 8, 0, 0, 1) + document, _OLD_REPLY
    else:
        content, answers = struct.pack("<iB", 0, 0) + document, _MESSAGE
    return _HEADER.pack(_HEADER.size + len(content), 1, request, answers) + content
