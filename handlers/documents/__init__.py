"""Stored documents: an event's snapshot becomes a document, a document becomes a noun, a changed noun a document."""
