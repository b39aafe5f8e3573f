"""One document of a pair while the pair is planned."""

from collections.abc import Callable
from typing import Generic, TypeVar

from msgspec import Struct

from commands.work_item import WorkItem
from handlers.ports import Document, DocumentWrite
from sync.conversation import Conversation

Noun = TypeVar("Noun", Conversation, WorkItem)


class DraftDocument(Struct, Generic[Noun], kw_only=True):
    """A document as loaded, None where it is not stored, and as it will be; each is read into its noun once."""

    read: Callable[[Document], Noun]
    loaded: Document | None
    current: Document | None
    _loaded_noun: Noun | None = None
    _noun: Noun | None = None

    def noun(self) -> Noun | None:
        """The noun of the current document. Raises UnreadableDocument."""
        if self._noun is None and self.current is not None:
            self._noun = self.read(self.current)
        return self._noun

    def loaded_noun(self) -> Noun | None:
        """The noun of the document as loaded. Raises UnreadableDocument."""
        if self.current is self.loaded:
            return self.noun()
        if self._loaded_noun is None and self.loaded is not None:
            self._loaded_noun = self.read(self.loaded)
        return self._loaded_noun

    def put(self, document: Document | None, noun: Noun | None = None) -> None:
        """Replace the current document; `noun` is its noun where the caller has it."""
        if self.current is self.loaded:
            self._loaded_noun = self._noun
        self.current, self._noun = document, noun

    def write(self) -> DocumentWrite | None:
        """The write that makes the store hold the current document; None where it does already."""
        if self.current is None or self.current is self.loaded:
            return None
        return DocumentWrite(before=self.loaded, after=self.current)
