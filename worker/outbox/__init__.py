"""Publication of the outbox entries that transactions have stored."""
