"""Periodic work that no message starts: the gap poll and the expiry of sync states."""
