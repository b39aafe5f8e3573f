"""The settings: read from environment variables, checked at start, and shown as a table in the docs."""
