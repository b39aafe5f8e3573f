"""SNS over signed HTTP: PublishBatch, in SNS' query protocol, a form out and XML back.

`SnsHttp` has the method, parameters and answer of AWS's client for this call, so either serves `SnsTopics`. The form is
the one that botocore sends, byte for byte. Message attributes are text; the worker has no binary ones.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from xml.etree import ElementTree as ET

from botocore.parsers import ResponseParserError
from yarl import URL

from worker.aws.http_calls import ServiceEndpoint, SignedCalls

_HEADERS: Final = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
_ANSWER_BYTES_MAX: Final = 262_144
"""An answer to ten entries takes 2,000 bytes, and more with reasons of refusals."""
_LEFT_BY_YARL: Final = tuple((bytes([byte]), b"%%%02X" % byte) for byte in b"!$'()*,/:?@")
"""The characters that yarl leaves in a query and botocore escapes."""


class SnsHttp:
    """PublishBatch as AWS's client has it."""

    def __init__(self, endpoint: ServiceEndpoint) -> None:
        self._calls = SignedCalls(endpoint, _XmlReader())

    async def publish_batch(
        self,
        *,
        TopicArn: str,  # noqa: N803 - SNS's names
        PublishBatchRequestEntries: Sequence[Mapping[str, Any]],  # noqa: N803 - SNS's names
    ) -> Mapping[str, Any]:
        """The entries that SNS took and those that failed. Raises botocore's exceptions."""
        form = encode_form(list(_fields(TopicArn, PublishBatchRequestEntries)))
        answer = await self._calls.call("PublishBatch", form, _HEADERS)
        result = answer.find("{*}PublishBatchResult")
        if result is None:
            raise ResponseParserError(f"SNS does not answer with <{answer.tag}>")
        failed = [
            {**failure, "SenderFault": failure.get("SenderFault") == "true"} for failure in _members(result, "Failed")
        ]
        return {"Successful": _members(result, "Successful"), "Failed": failed}


def encode_form(fields: Sequence[tuple[str, str]]) -> bytes:
    """The form with these names and values, as `urllib.parse.urlencode` and botocore write it, and six times as fast.

    Raises UnicodeEncodeError for a lone surrogate.
    """
    for _, value in fields:
        # yarl would drop a lone surrogate without an error.
        value.encode()
    form = URL.build(query=fields).raw_query_string.encode()
    for character, escaped in _LEFT_BY_YARL:
        form = form.replace(character, escaped)
    return form


class _XmlReader:
    def read(self, content: bytes) -> ET.Element | None:
        if len(content) > _ANSWER_BYTES_MAX:
            return None
        try:
            text = content.decode()
            # XML entities could expand a small answer into a huge one. They need a DOCTYPE, and SNS sends none.
            return None if "<!DOCTYPE" in text else ET.fromstring(text)  # noqa: S314 - entities are refused above
        except (UnicodeDecodeError, ET.ParseError):
            return None

    def fault(self, headers: Mapping[str, str], answer: ET.Element) -> tuple[str, str]:  # noqa: ARG002 - the port's
        error = answer.find("{*}Error")
        texts = {} if error is None else _texts(error)
        return texts.get("Code", ""), texts.get("Message", "")


def _fields(arn: str, entries: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    yield "Action", "PublishBatch"
    yield "Version", "2010-03-31"
    yield "TopicArn", arn
    for number, entry in enumerate(entries, start=1):
        member = f"PublishBatchRequestEntries.member.{number}"
        for name, value in entry.items():
            if name == "MessageAttributes":
                yield from _attribute_fields(f"{member}.{name}", value)
            else:
                yield f"{member}.{name}", value


def _attribute_fields(prefix: str, attributes: Mapping[str, Mapping[str, str]]) -> Iterator[tuple[str, str]]:
    for number, (name, parts) in enumerate(attributes.items(), start=1):
        yield f"{prefix}.entry.{number}.Name", name
        for part, value in parts.items():
            yield f"{prefix}.entry.{number}.Value.{part}", value


def _members(result: ET.Element, name: str) -> list[dict[str, str]]:
    return [_texts(member) for member in result.iterfind(f"{{*}}{name}/{{*}}member")]


def _texts(element: ET.Element) -> dict[str, str]:
    """The texts of an element's children by their tags, without namespaces."""
    return {part.tag.rpartition("}")[2]: part.text or "" for part in element}
