"""Routing beside the sync, decided from values. Nothing is awaited here.

| file | holds |
|---|---|
| `creation` | whether a conversation gets a work-item, who gets it, and its document |
| `queue_rules` | the queue rules of an org, and the first one that holds for a conversation |
| `waiting_times` | the waits of work-items in queues: which ones a document or an event shows, and their records |

A created or queued work-item and an un-assigned conversation are outside writes: no syncs, although they are committed
with the sync state (docs/routing.md).
"""
