"""What is read of the worker's own syncs: the fields that `schema.py` models, with the types that they have there.

`own_syncs.py` says what goes unread, and why. The forms stand in a module of their own because msgspec reads them by
their annotations, which the compiled build does not keep.
"""

from typing import Any, Literal

from msgspec import UNSET, UnsetType, field

from handlers.documents.stored_forms import (
    ConversationAttributesForm,
    ConversationRelationshipsForm,
    Form,
    Id,
    Revision,
    WorkItemAttributesForm,
    WorkItemRelationshipsForm,
)


class _ConversationAttributes(ConversationAttributesForm, kw_only=True):
    rev: Revision


class _WorkItemAttributes(WorkItemAttributesForm, kw_only=True):
    rev: Revision


class OwnConversation(Form, kw_only=True, tag_field="type", tag="conversation"):
    """The snapshot of a conversation."""

    id: Id
    attributes: _ConversationAttributes
    relationships: ConversationRelationshipsForm | None = None


class OwnWorkItem(Form, kw_only=True, tag_field="type", tag="work_item"):
    """The snapshot of a work-item."""

    id: Id
    attributes: _WorkItemAttributes
    relationships: WorkItemRelationshipsForm


class _DashedWorkItem(OwnWorkItem, kw_only=True, tag_field="type", tag="work-item"):
    """The other name of the type, as some documents have it."""


class _Change(Form, kw_only=True):
    op: Literal["add", "replace", "remove"] | None = None


class _ChangesForm(Form, kw_only=True):
    attributes: dict[str, _Change] | None = None
    relationships: dict[str, _Change] | None = None


class _KnownRevision(Form, kw_only=True):
    rev: Revision | None = None


class _CommandData(Form, kw_only=True):
    resource: _KnownRevision | None = None


class _Meta(Form, kw_only=True):
    conversation_rev: Revision | None = None
    data: _CommandData | None = None


class _Reason(Form, kw_only=True):
    action: str | None = None
    code: str | None = None
    meta: _Meta | None = None


class OwnEvent(Form, kw_only=True):
    """The event. A name in capitals, or `body`, would make it a wrapper of another event (`envelope.py`)."""

    id: Id
    name: Literal["kustomer.conversation.update", "kustomer.work-item.update"]
    org: Id | None = None
    partition: str | None = None
    data: OwnConversation | OwnWorkItem | _DashedWorkItem
    created_at: str | None = None
    changes: _ChangesForm | None = None
    client: str | None = None
    is_sync: bool
    routing_reasons: list[_Reason]
    dd: Any = None
    message_attributes: Any = field(name="MessageAttributes", default=None)
    body: Any = UNSET
    quoted_body: Any = field(name="Body", default=UNSET)
    type: Any = field(name="Type", default=UNSET)


class OwnWrapper(Form, kw_only=True):
    """An SNS notification, which quotes the published message as `Message`, or the published message itself."""

    type: Literal["Notification"] | UnsetType = field(name="Type", default=UNSET)
    message: str | UnsetType = field(name="Message", default=UNSET)
    body: OwnEvent | UnsetType = UNSET
    quoted_body: Any = field(name="Body", default=UNSET)
    published_at: str | None = None
    dd: Any = None
    message_attributes: Any = field(name="MessageAttributes", default=None)
