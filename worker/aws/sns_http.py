"""A lean way to SNS for the call that is made all the time: publish, in batches.

SNS's query protocol, a form out and XML back, on the signed calls of `signed_call.py`, behind the name of the library's
client. The form is the library's, byte for byte. Attributes are text, as all of ours are.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final
from xml.etree import ElementTree as ET

from botocore.parsers import ResponseParserError

from worker.aws.http_calls import ServiceEndpoint, SignedCalls

_HEADERS: Final = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
_ANSWER_BYTES_MAX: Final = 262_144
"""An answer to ten entries takes two thousand bytes, and some more where it gives reasons."""


class SnsHttp:
    """The call, by the name and with the parameters and the answer of the library's client."""

    def __init__(self, place: ServiceEndpoint) -> None:
        self._calls = SignedCalls(place, _Xml())

    async def publish_batch(
        self,
        *,
        TopicArn: str,  # noqa: N803 - SNS's names
        PublishBatchRequestEntries: Sequence[Mapping[str, Any]],  # noqa: N803 - SNS's names
    ) -> Mapping[str, Any]:
        """What was taken and what failed, by entry."""
        form = form_of(_fields(TopicArn, PublishBatchRequestEntries))
        answer = await self._calls.call("PublishBatch", form, _HEADERS)
        result = answer.find("{*}PublishBatchResult")
        if result is None:
            raise ResponseParserError(f"SNS does not answer with <{answer.tag}>")
        failed = [
            {**failure, "SenderFault": failure.get("SenderFault") == "true"} for failure in _members(result, "Failed")
        ]
        return {"Successful": _members(result, "Successful"), "Failed": failed}


class _Xml:
    """How SNS's answers are read."""

    def read(self, content: bytes) -> ET.Element | None:
        if len(content) > _ANSWER_BYTES_MAX:
            return None
        try:
            text = content.decode()
            # By entities few bytes become many. They need a DOCTYPE, of which SNS has none.
            return None if "<!DOCTYPE" in text else ET.fromstring(text)  # noqa: S314 - see above
        except (UnicodeDecodeError, ET.ParseError):
            return None

    def fault(self, headers: Mapping[str, str], answer: ET.Element) -> tuple[str, str]:  # noqa: ARG002 - the port's
        error = answer.find("{*}Error")
        told = {} if error is None else _told(error)
        return told.get("Code", ""), told.get("Message", "")


def _fields(arn: str, entries: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    yield "Action", "PublishBatch"
    yield "Version", "2010-03-31"
    yield "TopicArn", arn
    for number, entry in enumerate(entries, start=1):
        member = f"PublishBatchRequestEntries.member.{number}"
        for name, value in entry.items():
            if name == "MessageAttributes":
                yield from _attributes(f"{member}.{name}", value)
            else:
                yield f"{member}.{name}", value


def _attributes(prefix: str, attributes: Mapping[str, Mapping[str, str]]) -> Iterator[tuple[str, str]]:
    for number, (name, parts) in enumerate(attributes.items(), start=1):
        yield f"{prefix}.entry.{number}.Name", name
        for part, value in parts.items():
            yield f"{prefix}.entry.{number}.Value.{part}", value


def _members(result: ET.Element, name: str) -> list[dict[str, str]]:
    return [_told(member) for member in result.iterfind(f"{{*}}{name}/{{*}}member")]


def _told(element: ET.Element) -> dict[str, str]:
    return {part.tag.rpartition("}")[2]: part.text or "" for part in element}


_LEFT_ALONE: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-~"
# No UTF-8 has these bytes, so they hold the places of `=` and `&` until those of the text are spelt out.
_EQUALS: Final = b"\xfe"
_AND: Final = b"\xff"


def _spelling(byte: int) -> tuple[bytes, bytes]:
    return bytes([byte]), b"+" if byte == ord(" ") else b"%%%02X" % byte


_ASCII: Final = tuple(
    _spelling(byte)
    # What spellings are written with comes first, or it would be spelt out in them, too.
    for byte in sorted(range(0x80), key=lambda byte: (byte != ord("%"), byte != ord("+"), byte))
    if byte not in _LEFT_ALONE
)
_BEYOND: Final = tuple(_spelling(byte) for byte in range(0x80, 0xF5))
"""Every byte that UTF-8 makes of what is not ASCII."""


def form_of(fields: Iterable[tuple[str, str]]) -> bytes:
    """The form with these names and values. Raises UnicodeEncodeError for a lone surrogate, as urllib does."""
    form = _AND.join([name.encode() + _EQUALS + value.encode() for name, value in fields])
    for plain, spelt in _ASCII:
        form = form.replace(plain, spelt)
    form = form.replace(_EQUALS, b"=").replace(_AND, b"&")
    if not form.isascii():
        for plain, spelt in _BEYOND:
            form = form.replace(plain, spelt)
    return form
