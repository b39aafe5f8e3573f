"""SNS over signed HTTP: the call PublishBatch in SNS's query protocol. The request is a form, the response is XML.

`SnsHttp` has the method, the parameters and the response of AWS's client for this call, so `SnsTopics` works with
either. The form is byte for byte the form that botocore sends.
"""

from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from xml.etree import ElementTree as ET

from botocore.parsers import ResponseParserError
from yarl import URL

from worker.aws.http_calls import ServiceEndpoint, SignedCalls

_HEADERS: Final = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
_RESPONSE_BYTES_MAX: Final = 262_144
"""A response to ten entries has about 2,000 bytes; the reasons of refused entries add to it."""
_UNESCAPED_BY_YARL: Final = tuple((bytes([byte]), b"%%%02X" % byte) for byte in b"!$'()*,/:?@")
"""The characters of a query that botocore escapes and yarl does not, each with its escape."""


class SnsHttp:
    """Publishes with the signature of AWS's client: `publish_batch`."""

    def __init__(self, endpoint: ServiceEndpoint) -> None:
        self._calls = SignedCalls(endpoint, _XmlReader())

    async def publish_batch(
        self,
        *,
        TopicArn: str,  # noqa: N803 - SNS's names
        PublishBatchRequestEntries: Sequence[Mapping[str, Any]],  # noqa: N803 - SNS's names
    ) -> Mapping[str, Any]:
        """Publish one batch; returns `{Successful: [{Id, …}], Failed: [{Id, Code, Message, SenderFault}]}`.

        Raises botocore's exceptions: ClientError if SNS refuses the call, ResponseParserError if the response is not
        SNS's, and the errors of connections and credentials (worker/aws/errors.py).
        """
        form = encode_form(list(_fields(TopicArn, PublishBatchRequestEntries)))
        response = await self._calls.call("PublishBatch", form, _HEADERS)
        result = response.find("{*}PublishBatchResult")
        if result is None:
            raise ResponseParserError(
                f"the response is <{response.tag}>, which SNS never sends: check AWS_ENDPOINT_URL and HTTPS_PROXY"
            )
        failed = [
            {**failure, "SenderFault": failure.get("SenderFault") == "true"} for failure in _members(result, "Failed")
        ]
        return {"Successful": _members(result, "Successful"), "Failed": failed}


def encode_form(fields: Sequence[tuple[str, str]]) -> bytes:
    """The names and values as a form, byte for byte as `urllib.parse.urlencode` and botocore encode it.

    `urlencode` takes six times as long. Raises UnicodeEncodeError for a lone surrogate.
    """
    for _, value in fields:
        # `encode` raises for a lone surrogate; yarl would drop it silently.
        value.encode()
    form = URL.build(query=fields).raw_query_string.encode()
    for character, escaped in _UNESCAPED_BY_YARL:
        form = form.replace(character, escaped)
    return form


class _XmlReader:
    def read(self, headers: Mapping[str, str], content: bytes) -> ET.Element | None:  # noqa: ARG002 - a parameter of the protocol
        if len(content) > _RESPONSE_BYTES_MAX:
            return None
        try:
            text = content.decode()
            # XML entities could expand a small response into a huge one. They need a DOCTYPE, and SNS sends none.
            return None if "<!DOCTYPE" in text else ET.fromstring(text)  # noqa: S314 - entities are refused above
        except (UnicodeDecodeError, ET.ParseError):
            return None

    def error(self, headers: Mapping[str, str], response: ET.Element) -> tuple[str, str]:  # noqa: ARG002 - a parameter of the protocol
        found = response.find("{*}Error")
        texts = {} if found is None else _texts(found)
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


def _attribute_fields(prefix: str, attributes: Mapping[str, Mapping[str, str | bytes]]) -> Iterator[tuple[str, str]]:
    for number, (name, parts) in enumerate(attributes.items(), start=1):
        yield f"{prefix}.entry.{number}.Name", name
        for part, value in parts.items():
            text = b64encode(value).decode() if isinstance(value, bytes) else value
            yield f"{prefix}.entry.{number}.Value.{part}", text


def _members(result: ET.Element, name: str) -> list[dict[str, str]]:
    return [_texts(member) for member in result.iterfind(f"{{*}}{name}/{{*}}member")]


def _texts(element: ET.Element) -> dict[str, str]:
    """The texts of an element's children by their tags, without namespaces."""
    return {part.tag.rpartition("}")[2]: part.text or "" for part in element}
