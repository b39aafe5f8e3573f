"""The answers to requests that cannot be done, in the form of JSON:API:
`{"errors": [{status, source, code, title, detail}]}`.

| status | code | when |
|---|---|---|
| 400 | `badrequest` | the body is no JSON, a range or a time zone is wrong, more than 100 ids |
| 401 | `unauthorized` | no token, or an unknown one |
| 403 | `forbidden` | the token's role does not allow it |
| 404 | `notfound` | no such path, or no such document |
| 405 | `methodnotallowed` | the path has no such method |
| 409 | the refusal's code | the work-item is not in the state that the update needs |
| 413 | `payloadtoolarge` | the body is larger than API_BODY_BYTES_MAX |
| 415 | `unsupportedmediatype` | the body is not declared as JSON |
| 422 | the refusal's code | the commands refuse the update; every fault is an error of its own |
| 429 | `toomanyrequests` | more requests than API_REQUESTS_PER_SECOND, or half of API_CONCURRENCY_MAX under way |
| 500 | `internalservererror`, `STORED_DOCUMENT_UNREADABLE`, `PLAN_REJECTED` | a fault in our code or in the store |
| 503 | `serviceunavailable`, `STORE_AWAY`, `TIMEOUT`, `CONFLICT` | try again later |

`source` says where in the request the fault is: `{"parameter": "path" | "header" | "body" | …}`. A `detail` never holds
more of the request than its own wrong values, shortened.
"""

from collections.abc import Sequence
from typing import Any, Final

import orjson
from msgspec import Struct
from pydantic import BaseModel, Field
from starlette.responses import Response

from commands.reason import Refusal, RefusalCode

_TITLES: Final = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    413: "Payload Too Large",
    415: "Unsupported Media Type",
    422: "Unprocessable Entity",
    429: "Too Many Requests",
    500: "Internal Server Error",
    503: "Service Unavailable",
}
_OF_STATE: Final = frozenset({
    RefusalCode.REVISION_CONFLICT,
    RefusalCode.WORK_ITEM_COMPLETED,
    RefusalCode.SESSION_LOCKED,
    RefusalCode.NOT_QUEUED,
    RefusalCode.NOT_ROUTED,
    RefusalCode.NOT_ROUTED_TO_USER,
})  # fmt: skip
"""The refusals that another state of the work-item would not bring."""
RETRY_AFTER_S: Final = 1


class ErrorSource(BaseModel):
    """Where in the request the fault is."""

    parameter: str


class ErrorObject(BaseModel):
    """One fault."""

    status: int
    source: ErrorSource
    code: str
    title: str
    detail: str | None = Field(None, description="what is wrong, and what to do")


class ErrorAnswer(BaseModel):
    """The answer to a request that cannot be done."""

    errors: list[ErrorObject]


class Fault(Struct, frozen=True, kw_only=True):
    """One fault of a request. `code` None: the title without blanks, in small letters."""

    parameter: str
    detail: str | None = None
    code: str | None = None


class ApiError(Exception):
    """A request that cannot be done. `headers`: of the answer."""

    def __init__(self, status: int, *faults: Fault, headers: dict[str, str] | None = None) -> None:
        super().__init__(f"{status} {_TITLES[status]}")
        self.status = status
        self.faults = faults
        self.headers = headers

    def answer(self) -> Response:
        """The answer."""
        return error_answer(self.status, self.faults, headers=self.headers)


def error_answer(status: int, faults: Sequence[Fault], *, headers: dict[str, str] | None = None) -> Response:
    """The answer with these faults, of which there is at least one."""
    title = _TITLES[status]
    errors: list[dict[str, Any]] = []
    for fault in faults:
        error: dict[str, Any] = {
            "status": status,
            "source": {"parameter": fault.parameter},
            "code": fault.code or title.replace(" ", "").lower(),
            "title": title,
        }
        errors.append(error if fault.detail is None else {**error, "detail": fault.detail})
    again = {"retry-after": str(RETRY_AFTER_S)} if status in (429, 503) else {}
    return Response(
        orjson.dumps({"errors": errors}),
        status_code=status,
        headers={"cache-control": "no-store", **again, **(headers or {})},
        media_type="application/json",
    )


def not_found() -> ApiError:
    """The error for a path or a document that is not there."""
    return ApiError(404, Fault(parameter="path"))


def refused(refusal: Refusal) -> ApiError:
    """The error for an update that the commands refuse: 409 if another state of the work-item would do, else 422 with
    every fault."""
    status = 409 if refusal.code in _OF_STATE else 422
    details = refusal.faults or (refusal.message,)
    parameter = "rev" if refusal.code is RefusalCode.REVISION_CONFLICT else "body"
    return ApiError(status, *(Fault(parameter=parameter, code=refusal.code.value, detail=each) for each in details))
