"""Services that every part of a process uses.

The context (clock, chance, telemetry, health, store availability), backoff, shutdown, unexpected errors, the failure
that ends a process, threads for look-ups, and queue rules that are kept for a while.
"""
