"""The use cases: a batch of events in, plans to the store, outcomes and audit records out; an update by the API.

The room reads the wire and owns the ports that the use case needs: store, clock, ids, chance. It knows no adapter.

| room or file | holds |
|---|---|
| `batch_handler` | the use case of a batch of events |
| `work_item_update` | the use case of an update that a client of the API sent |
| `ports` | the ports, and the values that pass through them |
| `outcome` | the outcome of a message, the ending of an event |
| `options` | the options of a deployment |
| `drift` | what the sweep finds |
| `events/` | a message's body to an event |
| `documents/` | stored documents to nouns and back |
| `planning/` | one conversation's events to one plan |
| `routing/` | beside the sync: creating work-items, queue rules, waiting times |
| `dry_run/` | the questions of `decide` |
"""
