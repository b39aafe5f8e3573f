"""Parts of the routes' schemas: the errors with which a route may answer, and references to models."""

from typing import Any, Final

from worker.api.errors import ErrorAnswer


def ref(model: type) -> dict[str, str]:
    """The reference to a model among the schema's components (`app.MODELS`)."""
    return {"$ref": f"#/components/schemas/{model.__name__}"}


_ERRORS: Final[dict[int | str, dict[str, Any]]] = {
    # Not `model`: FastAPI would make a serializer of it for every route.
    status: {"description": description, "content": {"application/json": {"schema": ref(ErrorAnswer)}}}
    for status, description in {
        400: "The request cannot be read",
        401: "No known token",
        403: "The token's role does not allow it",
        404: "There is no such document",
        409: "The work-item is not in the state that the update needs",
        413: "The body is too large",
        415: "The body is not declared as JSON",
        422: "The update is refused; every fault is an error of its own",
        429: "Too many requests",
        500: "A fault in the service, or a document that cannot be read",
        503: "Try again later",
    }.items()
}


def answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The errors with which a route may answer, for its schema."""
    return {status: _ERRORS[status] for status in statuses}
