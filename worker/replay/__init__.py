"""Replay: captured events through the rules, offline, on a store in memory (docs/replay.md)."""
