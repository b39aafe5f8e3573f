"""The reading of events: a message's body becomes an event, an unsupported event, or a rejection with its reason."""
