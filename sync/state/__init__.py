"""The sync state of a pair (docs/rules.md, *The sync state*). Pure.

| file | holds |
|---|---|
| `sync_state` | the state as data, and the pair that it describes |
| `observation` | the state after an event |
| `reconciliation` | the state after a decision, after a wait and after a commit |
| `agreement` | the shared values of both records, and where they agree |
| `revision_runs` | the revisions of a document that were observed |
"""
