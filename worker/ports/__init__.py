"""The worker's ports. Those of the use case (`Store`, `Clock`, `QueueClock`, `Ids`, `Chance`) are in handlers/ports.py.

| port | adapter | raises |
|---|---|---|
| `MessageQueue` | `aws/sqs/message_queue.py` | `QueueAway` |
| `DeliveryInspection` | `aws/checks/delivery.py` | – |
| `Topics` | `aws/sns/topics.py` | `TopicsAway` |
| `Announcer` | `outbox/publisher.py` | – |
| `Outbox` | `mongo/adapters/outbox.py`, `store/memory/store.py` | `StoreAway` |
| `SyncStatesByAge` | `mongo/adapters/sync_states_by_age.py`, `store/memory/store.py` | `StoreAway` |
| `Watermark` | `consumer/watermark.py` | – |
| `Fleet` | `mongo/adapters/fleet.py`, `store/memory/fleet.py` | `StoreAway` |
| `WaitingTimes` | `mongo/adapters/waiting_times.py`, `store/memory/waiting_times.py` | `StoreAway` |
| `QueueDirectory` | `mongo/adapters/queue_directory.py`, `store/memory/waiting_times.py` | `StoreAway` |

`QueueDirectory` raises `UnreadableDocument`, too. `history`, `letters`, `status` and `sweeps` say of theirs in their
own heads. An `…Away` error means that the service cannot be used now: wait and call again.
"""
