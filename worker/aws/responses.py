"""Responses that are not AWS's: a page with status 200, or JSON of another shape, from a proxy in between.

Botocore takes some of them for valid responses and fails on others with arbitrary exceptions. This file turns all of
them into botocore's `ResponseParserError`, which worker/aws/errors.py translates into `…Away`. The translation covers
only the reading of responses: the same exception elsewhere is a defect in the code.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from aiobotocore.parsers import AioResponseParserFactory
from botocore.parsers import ResponseParserError

_READING_ERRORS: Final = (
    AssertionError, AttributeError, LookupError, OverflowError, RecursionError, TypeError, ValueError,
)  # fmt: skip


@contextmanager
def reading_response() -> Iterator[None]:
    """Read a response of AWS inside this block. Raises ResponseParserError if it has another shape."""
    try:
        yield
    except _READING_ERRORS as error:
        raise ResponseParserError(f"the response is not AWS's: {type(error).__name__}: {error}") from error


class CheckedParsers(AioResponseParserFactory):
    """Botocore's parsers, each under `reading_response`."""

    def create_parser(self, protocol_name: str) -> Any:
        """The parser of one protocol: `json` (SQS) or `query` (SNS)."""
        return _CheckedParser(super().create_parser(protocol_name), json=protocol_name == "json")


class _CheckedParser:
    def __init__(self, parser: Any, *, json: bool) -> None:
        self._parser = parser
        self._json = json

    async def parse(self, response: Mapping[str, Any], shape: Any) -> Any:
        # Botocore reads a page as an empty response, and the queue would look empty.
        if self._json and response["status_code"] < 300 and not _may_be_object(response["body"]):
            raise ResponseParserError("the response is not AWS's: it is no JSON object")
        with reading_response():
            return await self._parser.parse(response, shape)


def _may_be_object(body: bytes) -> bool:
    """Whether the first and the last character are those of a JSON object. Some operations have empty responses."""
    text = body.strip()
    return not text or (text[:1], text[-1:]) == (b"{", b"}")
