"""Routing beside the sync, decided from values. Nothing is awaited here.

| file | holds |
|---|---|
| `waiting_times` | the waits of work-items in queues: which ones a document or an event shows, and their records |
"""
