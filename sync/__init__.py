"""The two sync policies, pure: a conversation and its work-item in, a decision and the sync state after it out.

The room knows nothing of SQS, MongoDB, asyncio, logging or the clock (docs/rules.md).

| file | holds |
|---|---|
| `conversation` | the conversation and the shared fields |
| `rules_reverse`, `rules_forward` | table A and table B |
| `rule` | the write that a rule yields |
| `gates` | the conditions before any rule |
| `policy_legacy`, `policy_causal` | which rules may fire, and which of their writes count |
| `decision` | the result of deciding a pair |
| `evidence` | which side wrote a field last |
| `state`, `revision_runs` | the sync state of a pair, and its observed revisions |
| `contract` | the promises, checked on a history of writes |
| `audit` | the audit record |
"""
