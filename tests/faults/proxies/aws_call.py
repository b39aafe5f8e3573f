"""A request to SQS or SNS as the fault proxy sees it: its action, its entries, and answers in the service's protocol.

SQS speaks JSON and names the action in a header. SNS speaks the query protocol and answers in XML.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal
from urllib.parse import parse_qsl, urlencode
from xml.sax.saxutils import escape

from msgspec import Struct, field

Service = Literal["sqs", "sns"]
JSON_TYPE: Final = "application/x-amz-json-1.0"
XML_TYPE: Final = "text/xml"
_ENTRIES: Final = "PublishBatchRequestEntries"
_MEMBER: Final = re.compile(rf"{_ENTRIES}\.(?:member|entry)\.(\d+)\.(.+)")
_SUCCESSFUL: Final = re.compile(r"<Id>([^<]*)</Id>")


class AwsHttpAnswer(Struct, frozen=True, kw_only=True):
    """An HTTP answer to the client."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class EntryFault(Struct, frozen=True, kw_only=True):
    """Why an entry of a batch fails, in the service's fields."""

    code: str = "InternalError"
    sender: bool = False


class AwsCall(Struct, frozen=True, kw_only=True):
    """One request. `entries`: those of a batch, each with its `Id`; empty for a call that is no batch."""

    service: Service
    action: str
    body: bytes
    entries: tuple[Mapping[str, Any], ...] = ()

    def without(self, failed: Sequence[str]) -> bytes:
        """The body of the call without the failed entries."""
        left = [entry for entry in self.entries if entry["Id"] not in failed]
        if self.service == "sqs":
            return json.dumps({**json.loads(self.body), "Entries": left}).encode()
        rest = [(name, value) for name, value in parse_qsl(self.body.decode()) if not _MEMBER.fullmatch(name)]
        members = [
            (f"{_ENTRIES}.member.{number}.{name}", value)
            for number, entry in enumerate(left, 1)
            for name, value in entry.items()
        ]
        return urlencode(rest + members).encode()

    def failure(self, status: int, code: str, message: str = "made to fail") -> AwsHttpAnswer:
        """The service's error answer for the whole call."""
        if self.service == "sqs":
            answer = json.dumps({"__type": f"com.amazonaws.sqs#{code}", "message": message}).encode()
            side = "Receiver" if status >= 500 else "Sender"
            headers = {"Content-Type": JSON_TYPE, "x-amzn-query-error": f"{code};{side}"}
            return AwsHttpAnswer(status=status, body=answer, headers=headers)
        side = "Receiver" if status >= 500 else "Sender"
        xml = (
            '<ErrorResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><Error>'
            f"<Type>{side}</Type><Code>{escape(code)}</Code><Message>{escape(message)}</Message>"
            "</Error><RequestId>made-to-fail</RequestId></ErrorResponse>"
        )
        return AwsHttpAnswer(status=status, body=xml.encode(), headers={"Content-Type": XML_TYPE})

    def partly(self, carried_out: bytes | None, failed: Sequence[str], fault: EntryFault) -> AwsHttpAnswer:
        """The answer to a batch with failed entries. `carried_out`: the service's answer to the others, if any."""
        if self.service == "sqs":
            answer: dict[str, Any] = json.loads(carried_out or b"{}")
            more = [
                {"Id": each, "SenderFault": fault.sender, "Code": fault.code, "Message": "made to fail"}
                for each in failed
            ]
            answer = {"Successful": [], **answer, "Failed": [*(answer.get("Failed") or []), *more]}
            return AwsHttpAnswer(status=200, body=json.dumps(answer).encode(), headers={"Content-Type": JSON_TYPE})
        successful = "".join(
            f"<member><Id>{one}</Id><MessageId>m-{one}</MessageId></member>"
            for one in _SUCCESSFUL.findall((carried_out or b"").decode())
        )
        failures = "".join(
            f"<member><Id>{each}</Id><Code>{escape(fault.code)}</Code><Message>made to fail</Message>"
            f"<SenderFault>{str(fault.sender).lower()}</SenderFault></member>"
            for each in failed
        )
        xml = (
            '<PublishBatchResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishBatchResult>'
            f"<Successful>{successful}</Successful><Failed>{failures}</Failed></PublishBatchResult>"
            "<ResponseMetadata><RequestId>made-to-fail</RequestId></ResponseMetadata></PublishBatchResponse>"
        )
        return AwsHttpAnswer(status=200, body=xml.encode(), headers={"Content-Type": XML_TYPE})


def call_of(headers: Mapping[str, str], body: bytes) -> AwsCall:
    """The call of a request."""
    target = headers.get("X-Amz-Target", "")
    if target.startswith("AmazonSQS."):
        entries = json.loads(body or b"{}").get("Entries") or ()
        return AwsCall(service="sqs", action=target.partition(".")[2], body=body, entries=tuple(entries))
    members: dict[int, dict[str, str]] = {}
    action = ""
    for name, value in parse_qsl(body.decode()):
        member = _MEMBER.fullmatch(name)
        if member:
            members.setdefault(int(member[1]), {})[member[2]] = value
        elif name == "Action":
            action = value
    assert action, f"neither SQS's JSON nor SNS's query protocol: {dict(headers)}"
    return AwsCall(service="sns", action=action, body=body, entries=tuple(members[each] for each in sorted(members)))
