"""What comes in AWS's place: a page with status 200 or JSON of another shape, from a box in between.

AWS's library takes some of it for an answer and stumbles over the rest, by whatever exception comes of that. Here it
all becomes the library's `ResponseParserError`, which `worker/aws.py` takes for the service being away. This stands
around the reading of answers alone, so that the same exception from elsewhere stays a fault in our code.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from aiobotocore.parsers import AioResponseParserFactory
from botocore.parsers import ResponseParserError

_STUMBLES: Final = (AssertionError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


@contextmanager
def reading_answer() -> Iterator[None]:
    """Read an answer of AWS's. Raises ResponseParserError where it is none."""
    try:
        yield
    except _STUMBLES as error:
        raise ResponseParserError(f"this is no answer of AWS's: {type(error).__name__}: {error}") from error


class CheckedParsers(AioResponseParserFactory):
    """The library's, under `reading_answer`."""

    def create_parser(self, protocol_name: str) -> Any:
        """One for an answer in that protocol."""
        return _Parser(super().create_parser(protocol_name), json=protocol_name == "json")


class _Parser:
    def __init__(self, parser: Any, *, json: bool) -> None:
        self._parser = parser
        self._json = json

    async def parse(self, response: Mapping[str, Any], shape: Any) -> Any:
        # The library makes an empty answer of a page, and then a queue looks empty.
        if self._json and response["status_code"] < 300 and not _may_be_object(response["body"]):
            raise ResponseParserError("this is no answer of AWS's: it is no JSON object")
        with reading_answer():
            return await self._parser.parse(response, shape)


def _may_be_object(body: bytes) -> bool:
    """Whether it looks so from both ends; some operations answer with nothing at all."""
    text = body.strip()
    return not text or (text[:1], text[-1:]) == (b"{", b"}")
