"""SNS over HTTP: the query protocol. ../test_http_calls.py and test_topics_contract.py test the rest."""

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

import pytest
from botocore.exceptions import ClientError
from botocore.parsers import create_parser
from botocore.serialize import create_serializer

from moto_server import MotoServer
from tests.worker.aws.stand_ins.scripted_service import scripted
from tests.worker.stand_ins.moto_clients import Aws, opened
from worker.aws.sns.http_transport import SnsHttp
from worker.aws.sns.topics import SnsTopics
from worker.errors import TopicsAway
from worker.outbox.topic_message import topic_message
from worker.ports.aws_calls import RefusedEntry

if TYPE_CHECKING:
    from types_aiobotocore_sns.client import SNSClient


TOPIC = "arn:aws:sns:us-east-1:123456789012:t"
TEXT = '{"id":"ä+&%=\\n📦","name":"kustomer.conversation.update","dd":{"trace_id":"12"}}'


def _answer(successful: str = "", failed: str = "") -> bytes:
    return (
        '<?xml version="1.0"?>\n<PublishBatchResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/">\n'
        f"  <PublishBatchResult><Failed>{failed}</Failed><Successful>{successful}</Successful></PublishBatchResult>\n"
        "  <ResponseMetadata><RequestId>r</RequestId></ResponseMetadata>\n</PublishBatchResponse>"
    ).encode()


def _took(*ids: int) -> str:
    return "".join(f"<member><MessageId>m{one}</MessageId><Id>{one}</Id></member>" for one in ids)


def _failed(number: int, code: str, *, sender: str = "true") -> str:
    return (
        f"<member><Id>{number}</Id><Code>{code}</Code><Message>a &lt;b&gt; &amp; &#x4f60;</Message>"
        f"<SenderFault>{sender}</SenderFault></member>"
    )


def _operation(client: "SNSClient") -> Any:
    return client.meta.service_model.operation_model("PublishBatch")


def _entries(**more: str) -> list[dict[str, Any]]:
    message = topic_message(id="a", group="c1", text=TEXT)
    bare = {"Id": "1", "Message": "{}", **more}
    return [{"Id": "0", "Message": message.text, "MessageAttributes": message.attributes, **more}, bare]


@pytest.mark.parametrize(
    "more", [{}, {"MessageGroupId": "c 1/é", "MessageDeduplicationId": "m"}], ids=["plain", "fifo"]
)
async def test_the_form_equals_the_librarys(aws: Aws, more: dict[str, str]) -> None:
    request: Any = {"TopicArn": TOPIC, "PublishBatchRequestEntries": _entries(**more)}
    library_form = create_serializer("query").serialize_to_request(request, _operation(aws.sns))
    async with scripted("sns", [(200, _answer(_took(0, 1)), {})]) as (endpoint, script):
        await SnsHttp(endpoint).publish_batch(**request)
        assert script.requests == [urlencode(library_form["body"]).encode()]
        assert script.headers[0]["content-type"] == library_form["headers"]["Content-Type"]
        assert dict(parse_qsl(script.requests[0].decode()))["PublishBatchRequestEntries.member.1.Message"] == TEXT


@pytest.mark.parametrize(
    "content",
    [
        _answer(_took(0, 1)),
        _answer(_took(1), _failed(0, "InvalidParameter")),
        _answer("", _failed(0, "InternalError", sender="false") + _failed(1, "Throttled")),
        b"<PublishBatchResponse><PublishBatchResult><Failed/><Successful/></PublishBatchResult></PublishBatchResponse>",
    ],
    ids=["taken", "one-failed", "all-failed", "nothing"],
)
async def test_answers_are_read_as_the_library_reads_them(aws: Aws, content: bytes) -> None:
    response = {"status_code": 200, "headers": {}, "body": content}
    expected = create_parser("query").parse(response, _operation(aws.sns).output_shape)
    async with scripted("sns", [(200, content, {})]) as (endpoint, _):
        answer = await SnsHttp(endpoint).publish_batch(TopicArn=TOPIC, PublishBatchRequestEntries=[])
        assert answer == {name: expected[name] for name in ("Successful", "Failed")}


async def _published(content: bytes, messages: int = 3) -> Any:
    async with scripted("sns", [(200, content, {})]) as (endpoint, _):
        batch = [topic_message(id=f"m{number}", group="c", text="{}") for number in range(messages)]
        return await SnsTopics(SnsHttp(endpoint)).publish(TOPIC, batch)


async def test_each_message_has_its_own_result() -> None:
    bad, later, taken = await _published(_answer(_took(2), _failed(0, "InvalidParameter") + _failed(1, "KMSDisabled")))
    assert bad == RefusedEntry(code="InvalidParameter", reason="a <b> & 你", final=True)
    assert later is not None
    assert (later.code, later.final, taken) == ("KMSDisabled", False, None)


@pytest.mark.parametrize(
    "content", [_answer(_took(0, 2)), _answer(_took(0, 2) + "<member><MessageId>m</MessageId></member>")]
)
async def test_a_message_that_the_answer_does_not_name_is_not_published(content: bytes) -> None:
    first, untold, third = await _published(content)
    assert (first, third) == (None, None)
    assert untold is not None
    assert (untold.code, untold.final) == ("NOT_TOLD", False)


GROWING = b"".join(b'<!ENTITY e%d "%b">' % (n, b"&e%d;" % (n - 1) * 10 if n else b"ha" * 10) for n in range(9))


@pytest.mark.parametrize(
    "content",
    [
        b"<?xml version='1.0'?><!DOCTYPE a [" + GROWING + b"]><PublishBatchResponse>&e8;</PublishBatchResponse>",
        ("<?xml version='1.0' encoding='utf-16'?><!DOCTYPE a [" + GROWING.decode() + "]><a>&e8;</a>").encode("utf-16"),
        _answer(_took(*range(5_000))),
        _answer(_took(0, 1, 2))[:-30],
        b"<a>" * 50_000,
        b"<html><body>Please sign in</body></html>",
    ],
    ids=["bomb", "bomb-in-utf-16", "too-long", "cut", "deep", "page"],
)
async def test_an_answer_that_sns_never_sends_is_the_topics_being_away(content: bytes) -> None:
    with pytest.raises(TopicsAway):
        await _published(content)


async def test_errors_equal_the_librarys(moto: MotoServer) -> None:
    async def error_of(aws: Aws, **request: Any) -> tuple[str, str, int]:
        with pytest.raises(ClientError) as raised:
            await aws.publishing.publish_batch(**request)
        response: Any = raised.value.response
        error = response["Error"]
        return error["Code"], error["Message"], response["ResponseMetadata"]["HTTPStatusCode"]

    entry: Any = {"Id": "0", "Message": "{}"}
    async with opened(moto) as library, opened(moto, http=True) as http:
        for entries in ([entry], [entry, entry]):
            request: Any = {"TopicArn": f"{TOPIC}-none", "PublishBatchRequestEntries": entries}
            assert await error_of(http, **request) == await error_of(library, **request)
