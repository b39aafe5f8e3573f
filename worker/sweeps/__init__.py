"""Periodic work that no message starts.

The gap poll, the drift sweep, the expiry of sync states, the metrics of queues, the worker's report on itself, and the
watch on what must stand for events to reach the queue.
"""
