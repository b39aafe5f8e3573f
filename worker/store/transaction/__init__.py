"""The transaction that writes plans: its steps, in one order for both stores, and its result."""
