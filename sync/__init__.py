"""The two sync policies, pure: a conversation and its work-item in, a decision and the sync state after it out.

The room knows nothing of SQS, MongoDB, asyncio, logging or the clock (docs/rules.md).

| file | holds |
|---|---|
| `conversation` | the conversation and the shared fields |
| `rules_reverse`, `rules_forward` | table A and table B |
| `gates` | the conditions before any rule |
| `policy_legacy`, `policy_causal` | which rules may fire, and which of their writes count |
| `decision` | the result of deciding a pair |
| `evidence` | which side wrote a field last |
| `state/` | the sync state of a pair |
| `contract` | the promises, checked on a history of writes |
| `audit` | the audit record |
"""
