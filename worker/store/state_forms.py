"""The forms of a sync state's document. They stand in a module of their own because msgspec reads them by their
annotations, which the compiled build does not keep."""

from typing import Any

from handlers.documents.stored_forms import Form, WholeNumber

_SharedValue = bool | str | list[str] | None


class _ViewForm(Form, kw_only=True):
    value: _SharedValue
    rev: int


class _DoneByForm(Form, kw_only=True):
    number: int
    rev: int


class _RecordedWaitForm(Form, kw_only=True):
    id: str
    rev: int


class ConversationStateForm(Form, kw_only=True):
    """What is known of the conversation."""

    observed: list[tuple[int, int]] | None = None
    rev: int | None = None
    floor: int = 0
    inserted: bool = False


class WorkItemStateForm(Form, kw_only=True):
    """What is known of the work-item."""

    id: str | None = None
    number: int = 0
    observed: list[tuple[int, int]] | None = None
    rev: int | None = None
    floor: int = 0


class WaitingRevsForm(Form, kw_only=True):
    """The revisions that a wait belongs to."""

    since: str | None = None
    conversation: int | None = None
    work_item: int | None = None
    values: dict[Any, _SharedValue] | None = None


class StateForm(Form, kw_only=True):
    """The document of a state with the types of its fields."""

    version: WholeNumber
    conversation: ConversationStateForm | None = None
    work_item: WorkItemStateForm | None = None
    view: dict[Any, _ViewForm] | None = None
    changed: dict[Any, int] | None = None
    known: dict[Any, int] | None = None
    known_at: dict[Any, int] | None = None
    touched: dict[Any, int] | None = None
    done_by: _DoneByForm | None = None
    waiting_since: str | None = None
    waiting_revs: WaitingRevsForm | None = None
    history_of: str | None = None
    recorded_wait: _RecordedWaitForm | None = None
    deleted_rev: int | None = None
    finished_at: str | None = None
