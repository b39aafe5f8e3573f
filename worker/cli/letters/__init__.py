"""The verbs for dead letters, and what they share."""
