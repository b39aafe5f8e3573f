"""Request bodies as JSON, and documents as JSON answers."""

from collections.abc import Mapping
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response

from handlers.documents.document import snapshot_of
from handlers.documents.stored_values import json_form
from handlers.ports import Document
from worker.api.errors import ApiError, Fault

_JSON_TYPES: Final = frozenset({"application/json", "application/vnd.api+json"})


async def json_body(request: Request) -> Any:
    """The request's body as a JSON value. Raises ApiError.

    The body must be declared as JSON: a form of another site's page cannot do that. A packed one is not unpacked: a few
    bytes could become many.
    """
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise ApiError(415, Fault(parameter="header", detail="send the body as it is, without a content encoding"))
    media_type, _, parameters = request.headers.get("content-type", "").partition(";")
    if media_type.strip().lower() not in _JSON_TYPES or not _is_utf8(parameters):
        raise ApiError(415, Fault(parameter="header", detail="send the body as application/json in UTF-8"))
    try:
        return orjson.loads(await request.body())
    except orjson.JSONDecodeError as error:
        detail = f"the body is not JSON: {error.msg.split(':')[0]}"
        raise ApiError(400, Fault(parameter="body", detail=detail)) from error


def json_answer(value: Any, *, status: int = 200) -> Response:
    """The answer with this value. What JSON lacks is written in its JSON form."""
    body = orjson.dumps(value, default=json_form, option=orjson.OPT_PASSTHROUGH_DATETIME)
    return Response(body, status_code=status, headers={"cache-control": "no-store"}, media_type="application/json")


def work_item_data(document: Document) -> Mapping[str, Any]:
    """A work-item's document as the API shows it: as an event's `data`, with the type of API documents."""
    return {**snapshot_of(document), "type": "work-item"}


def _is_utf8(parameters: str) -> bool:
    """Whether a media type's parameters leave the body in UTF-8."""
    for parameter in parameters.split(";"):
        name, _, value = parameter.strip().partition("=")
        if name.lower() == "charset" and value.strip('"').lower() not in ("utf-8", "utf8"):
            return False
    return True
