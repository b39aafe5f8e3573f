"""The standard streams, behind writers that never make the worker wait."""
